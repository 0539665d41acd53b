import type { Registry } from '../../platform/kafka/index.ts';
import { checkSchemas, inspectSubjects } from '../schemas/index.ts';
import { orOk, sayOf, type Finding } from './finding.ts';

const say = sayOf('registry');

export async function examineRegistry(registry: Registry): Promise<Finding[]> {
  const { histories } = await checkSchemas();
  const subjects = await inspectSubjects(registry, histories);
  const findings: Finding[] = [];
  const missing = subjects.filter(({ verdict }) => verdict === 'missing');
  if (missing.length > 0) findings.push(say.failure('schemas', `not registered: ${missing.map(({ subject, newest }) => `${subject} v${newest}`).join(', ')}`, '`brx-sync schemas apply` registers them'));
  for (const { subject, verdict, remarks } of subjects) {
    if (verdict === 'outrun') findings.push(say.warning('schemas', `${subject}: the registry has a newer version than this build knows; what it added is not understood here`, 'deploy the build that registered it'));
    for (const remark of remarks) findings.push(say.failure('schemas', `${subject} ${remark}`, '`brx-sync schemas check` and `brx-sync schemas list` say more'));
  }
  return orOk(findings, say.ok('schemas', `all ${subjects.length} are registered and compatible`));
}
