import { type Command, Option } from 'commander';
import type { DeadLetter, DeadLetterReason } from '../ingest/index.ts';
import { integerOption } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { formatCount } from './output.ts';

/** The reasons by name, so that `--help` need not load the ingest feature; a test compares them with its list. */
export const REASONS = ['undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'discarded'] as const satisfies readonly DeadLetterReason[];

/** `brx-sync dlq list`. */
export function registerDlq(program: Command, context: CliContext): void {
  const dlq = program
    .command('dlq')
    .description('dead letters: records that cannot take effect')
    .addHelpText(
      'after',
      examples([
        ['brx-sync dlq list', 'the newest 20'],
        ['brx-sync dlq list --reason undecodable --limit 100', 'of one kind'],
        ['brx-sync dlq list --json | jq .[0].source', 'the original record, bytes in base64'],
      ]),
    );
  dlq
    .command('list')
    .description('list dead letters, newest first')
    .addOption(new Option('--reason <reason>', 'only these').choices(REASONS))
    .option('--limit <number>', 'at most so many', integerOption(1, 10_000), 20)
    .action((options: { reason?: DeadLetterReason; limit: number }) => list(context, options));
}

async function list(context: CliContext, options: { reason?: DeadLetterReason; limit: number }): Promise<void> {
  const { out } = context;
  const { DEAD_LETTER_REASONS, listDeadLetters } = await import('../ingest/index.ts');
  const letters = await withPostgres(context, (postgres) => listDeadLetters(postgres, options));
  out.json(letters.map(asJson));
  if (letters.length === 0) return out.line(options.reason === undefined ? 'there are no dead letters' : `there are no dead letters with reason ${options.reason}`);
  out.table(
    letters.map((letter) => ({
      when: letter.createdAt,
      reason: letter.reason,
      record: `${letter.source.topic}/${letter.source.partition}@${letter.source.offset}`,
      user: letter.userId,
      published: letter.publishedAt === null ? 'not yet' : 'yes',
      detail: letter.detail.split('\n')[0]?.slice(0, 120),
    })),
  );
  for (const reason of new Set(letters.map((letter) => letter.reason))) out.note(`${reason}: ${DEAD_LETTER_REASONS[reason]}`);
  if (letters.length === options.limit) out.note(`only the newest ${formatCount(options.limit)}; --limit shows more`);
}

/** The original bytes in base64: a dead letter is often one because it is no text. */
function asJson({ source, ...letter }: DeadLetter): unknown {
  const headers = Object.entries(source.headers).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, base64(one as Buffer | string | undefined)]));
  return { ...letter, source: { topic: source.topic, partition: source.partition, offset: source.offset, timestamp: new Date(source.timestamp), key: base64(source.key), value: base64(source.value), headers } };
}

const base64 = (bytes: Buffer | string | null | undefined): string | null => (bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('base64'));
