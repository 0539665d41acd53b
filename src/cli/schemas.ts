import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import { examples, type CliContext } from './context.ts';

/** `brx-sync schemas check | apply | list`. */
export function registerSchemas(program: Command, context: CliContext): void {
  const schemas = program.command('schemas').description('the Avro schemas of every record, and the schema registry');
  schemas
    .command('check')
    .description('can every committed version read every older one? Needs no registry and no configuration')
    .option('--folder <path>', 'another folder than the one that came with this program')
    .addHelpText('after', `${examples([['brx-sync schemas check', 'before a changed schema is committed']])}\n\nExit code 65 names record, versions and field of whatever is not compatible.`)
    .action((options: { folder?: string }) => check(context, options.folder));
  schemas
    .command('apply')
    .description('register the newest version of every record; refuse what is not compatible')
    .option('--dry-run', 'say what would be registered, register nothing')
    .addHelpText('after', examples([['brx-sync schemas apply', 'any number of times, for example at each deployment']]))
    .action((options: { dryRun?: true }) => apply(context, options.dryRun === true));
  schemas
    .command('list')
    .description('every record, and what the registry has')
    .addHelpText('after', examples([['brx-sync schemas list', 'committed against registered']]))
    .action(() => list(context));
}

async function check({ out }: CliContext, folder?: string): Promise<void> {
  const { checkSchemas, describeCheck } = await import('../operations/schemas/index.ts');
  const { histories: _, ...report } = await checkSchemas(folder);
  out.json(report);
  if (!report.ok) {
    throw new BrxError('BRX_CONTRACT', `the schemas do not pass:\n${describeCheck(report).join('\n')}`, { remedy: 'keep what older events hold readable: give new fields a default, never take an enum symbol away or change a type (docs/producers.md, "Evolving a schema")' });
  }
  out.line(`${report.records.length} records, ${report.records.reduce((sum, { versions }) => sum + versions, 0)} versions: every version reads every older one`);
}

async function apply(context: CliContext, dryRun: boolean): Promise<void> {
  const [{ applySchemas, checkSchemas }, { createRegistry }] = [await import('../operations/schemas/index.ts'), await import('../platform/kafka/index.ts')];
  const registry = createRegistry(context.config().registry);
  const results = await applySchemas(registry, await checkSchemas(), { dryRun });
  const { out } = context;
  out.json({ dryRun, subjects: results });
  for (const { subject, newest, id, added, verdict } of results) {
    if (added) out.line(`registered ${subject} v${newest} as id ${id}`);
    else if (verdict === 'missing') out.line(`would register ${subject} v${newest}`);
    else if (verdict === 'outrun') out.note(`${subject}: the registry has a newer version than this build knows; nothing was changed`);
  }
  const untouched = results.filter(({ verdict }) => verdict !== 'missing').length;
  if (untouched > 0) out.line(untouched === results.length ? `all ${untouched} schemas are registered` : `${untouched} of ${results.length} schemas were registered already`);
}

async function list(context: CliContext): Promise<void> {
  const [{ checkSchemas, inspectSubjects }, { createRegistry }] = [await import('../operations/schemas/index.ts'), await import('../platform/kafka/index.ts')];
  const { histories } = await checkSchemas();
  const findings = await inspectSubjects(createRegistry(context.config().registry), histories);
  const { out } = context;
  out.json({ subjects: findings });
  out.table(findings.map(({ subject, newest, id, registered, compatibility, verdict }) => ({ subject, committed: `v${newest}`, id, state: verdict === 'refuse' ? 'not compatible' : verdict, registered, compatibility })));
  for (const { subject, remarks } of findings) for (const remark of remarks) out.note(`${subject} ${remark}`);
}
