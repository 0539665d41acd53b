import type { Command } from 'commander';
import type { TopicFinding } from '../operations/topics/index.ts';
import type { TopicAdmin } from '../platform/kafka/index.ts';
import { examples, type CliContext } from './context.ts';

/** `brx-sync topics apply | list`. */
export function registerTopics(program: Command, context: CliContext): void {
  const topics = program.command('topics').description('the topics BRX Sync needs, against the cluster');
  topics
    .command('apply')
    .description('create what is missing; refuse what would lose order or data')
    .option('--dry-run', 'say what would be created, create nothing')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync topics apply --dry-run', 'what would it do?'],
        ['brx-sync topics apply', 'any number of times, for example at each deployment'],
      ])}\n\nA topic with another number of partitions or another cleanup policy is refused with the reason and the way out, and then nothing\nis created. Another retention is reported, not changed.`,
    )
    .action((options: { dryRun?: true }) => apply(context, options.dryRun === true));
  topics
    .command('list')
    .description('every declared topic and what the cluster has')
    .addHelpText('after', examples([['brx-sync topics list', 'declared against found']]))
    .action(() => list(context));
}

async function apply(context: CliContext, dryRun: boolean): Promise<void> {
  const { applyTopics, days } = await import('../operations/topics/index.ts');
  const results = await withAdmin(context, (admin, prefix) => applyTopics(admin, { prefix, dryRun }));
  const { out } = context;
  out.json({ dryRun, topics: results.map(({ created, ...finding }) => ({ ...asJson(finding), created: created && !dryRun, wouldCreate: finding.verdict === 'missing' && dryRun })) });
  for (const { name, declared, created, verdict, remarks } of results) {
    if (verdict === 'missing') out.line(`${dryRun ? 'would create' : created ? 'created' : 'already there (created by someone else just now)'} ${name}: ${declared.partitions} partitions, keeps ${days(declared.retentionMs)}`);
    for (const remark of remarks) out.note(`${name} ${remark}`);
  }
  const untouched = results.filter(({ verdict }) => verdict !== 'missing').length;
  if (untouched > 0) out.line(untouched === results.length ? `all ${untouched} topics are there` : `${untouched} of ${results.length} topics were there already`);
}

async function list(context: CliContext): Promise<void> {
  const { days, inspectTopics } = await import('../operations/topics/index.ts');
  const findings = await withAdmin(context, inspectTopics);
  const { out } = context;
  out.json({ topics: findings.map(asJson) });
  out.table(
    findings.map(({ name, declared, found, verdict }) => ({
      topic: name,
      state: verdict === 'refuse' ? 'not usable' : verdict,
      partitions: found === null ? `- of ${declared.partitions}` : found.partitions,
      keeps: found === null ? `- of ${days(declared.retentionMs)}` : days(found.retentionMs),
      replicas: found?.replicas,
      records: declared.records.join(', '),
    })),
  );
  for (const { name, remarks } of findings) for (const remark of remarks) out.note(`${name} ${remark}`);
}

const asJson = ({ name, declared, found, verdict, remarks }: TopicFinding) => ({ topic: name, verdict, declared, found, remarks });

async function withAdmin<Result>(context: CliContext, use: (admin: TopicAdmin, prefix: string) => Promise<Result>): Promise<Result> {
  const { kafka } = context.config();
  const { COMMAND_RETRIES, createKafka, openTopicAdmin } = await import('../platform/kafka/index.ts');
  const admin = await openTopicAdmin(createKafka(kafka, context.logger, { retries: COMMAND_RETRIES }));
  try {
    return await use(admin, kafka.topicPrefix);
  } finally {
    await admin.close();
  }
}
