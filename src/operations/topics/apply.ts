import { ALL_TOPICS, topicName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import type { TopicAdmin } from '../../platform/kafka/index.ts';
import { examine, type TopicFinding } from './plan.ts';

/** Every declared topic, dead-letter twins included, against the cluster. */
export async function inspectTopics(admin: Pick<TopicAdmin, 'describe'>, prefix: string): Promise<TopicFinding[]> {
  const names = ALL_TOPICS.map((topic) => topicName(prefix, topic));
  const found = await admin.describe(names);
  return ALL_TOPICS.map((topic) => examine(topicName(prefix, topic), topic, found.get(topicName(prefix, topic))));
}

export interface TopicResult extends TopicFinding {
  created: boolean;
}

/**
 * Creates what is missing; any number of times. If any topic is not usable as it is, nothing is created and BRX_REFUSED says which,
 * why, and what to do. With `dryRun` the broker is only asked whether it would create.
 */
export async function applyTopics(admin: Pick<TopicAdmin, 'describe' | 'create'>, options: { prefix: string; dryRun: boolean }): Promise<TopicResult[]> {
  const findings = await inspectTopics(admin, options.prefix);
  const refused = findings.filter((finding) => finding.verdict === 'refuse');
  if (refused.length > 0) {
    const lines = refused.flatMap(({ name, remarks }) => remarks.map((remark) => `  ${name} ${remark}`));
    throw new BrxError('BRX_REFUSED', `${refused.length === 1 ? 'a topic is' : `${refused.length} topics are`} not as declared, nothing was changed:\n${lines.join('\n')}`);
  }
  const results: TopicResult[] = [];
  for (const finding of findings) {
    const { name, declared, verdict } = finding;
    const created = verdict === 'missing' && (await admin.create({ ...declared, name }, { validateOnly: options.dryRun }));
    results.push({ ...finding, created });
  }
  return results;
}
