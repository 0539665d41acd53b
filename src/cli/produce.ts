import type { Command } from 'commander';
import { TOPICS, topicName } from '../contract/index.ts';
import { BrxError } from '../errors.ts';
import type { Checked, Source } from '../operations/produce/index.ts';
import { systemClock } from '../platform/clock.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount, formatSeconds } from './output.ts';

interface Options {
  file: string;
  check?: true;
  skipBad?: true;
  allowRaw?: true;
}

/** `brx-sync produce`. */
export function registerProduce(program: Command, context: CliContext): void {
  program
    .command('produce')
    .description('publish events from a file, one JSON object a line, after checking all of them against the contract')
    .requiredOption('--file <path>', 'NDJSON: {"record":"InventoryChanged","value":{...}} a line; - reads standard input')
    .option('--check', 'check only; needs neither Kafka nor configuration')
    .option('--skip-bad', 'publish the good lines even if there are bad ones')
    .option('--allow-raw', 'also take {"raw":"<base64>","key":"..."} and keys that are not the user_id: for tests of what happens to bad records')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync produce --file events.ndjson --check', 'are all lines good?'],
        ['brx-sync produce --file events.ndjson', 'publish all of them, or none if one is bad'],
        ['export-stock | brx-sync produce --file -', 'from another program'],
      ])}\n\nEvery event brings its own event_id and occurred_at: publishing the same file twice has no effect the second time.`,
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, options: Options): Promise<void> {
  const { fileSource, streamSource } = await import('../operations/produce/index.ts');
  const source = options.file === '-' ? await streamSource(process.stdin, 'standard input') : await fileSource(options.file);
  try {
    await (options.check === true ? check(context, source, options) : publish(context, source, options));
  } finally {
    await source.close();
  }
}

async function check({ out }: CliContext, source: Source, options: Options): Promise<void> {
  const { badLines, checkLines } = await import('../operations/produce/index.ts');
  const checked = await checkLines(source, { allowRaw: options.allowRaw === true });
  out.json(checked);
  if (checked.bad > 0) throw badLines(source, checked);
  out.line(`${counted(checked.lines, 'line')}, all good (${byRecord(checked)})`);
}

async function publish(context: CliContext, source: Source, options: Options): Promise<void> {
  const { kafka: kafkaConfig, registry } = context.config();
  const { out } = context;
  const [{ publishLines }, { COMMAND_RETRIES, createKafka, createProducer, createRegistry, openTopicAdmin }] = [await import('../operations/produce/index.ts'), await import('../platform/kafka/index.ts')];
  const kafka = createKafka(kafkaConfig, context.logger, { retries: COMMAND_RETRIES });
  const topic = topicName(kafkaConfig.topicPrefix, TOPICS.marketplaceEvents);

  const admin = await openTopicAdmin(kafka);
  try {
    const found = await admin.describe([topic]);
    if (!found.has(topic)) throw new BrxError('BRX_REFUSED', `topic ${topic} does not exist`, { remedy: 'run `brx-sync topics apply`, or set BRX_TOPIC_PREFIX' });
  } finally {
    await admin.close();
  }

  const producer = createProducer(kafka);
  const started = systemClock.monotonic();
  try {
    const published = await publishLines({
      source,
      topic,
      allowRaw: options.allowRaw === true,
      skipBad: options.skipBad === true,
      producer,
      registry: createRegistry(registry),
      signal: context.signal,
      onProgress: (acknowledged) => out.progress(`published ${formatCount(acknowledged)}`),
    });
    const seconds = (systemClock.monotonic() - started) / 1_000;
    out.json({ topic, ...published, seconds });
    for (const { line, problem } of published.problems) out.note(`skipped line ${line}: ${problem}`);
    if (published.bad > published.problems.length) out.note(`and ${published.bad - published.problems.length} more were skipped`);
    out.line(`published ${counted(published.published, 'event')} to ${topic} in ${formatSeconds(seconds)} (${byRecord(published)})`);
  } finally {
    await producer.disconnect();
  }
}

const byRecord = ({ records }: Checked): string => Object.entries(records).map(([name, count]) => `${formatCount(count)} ${name}`).join(', ') || 'no lines';
