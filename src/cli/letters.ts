import { type Command } from 'commander';
import { systemClock } from '../platform/clock.ts';
import type { DeadLetter, DeadLetterReason, LetterFilter } from '../records/index.ts';
import { instantOption, integerOption, listOption, uuidArgument } from './arguments.ts';

/** The reasons by name, so that `--help` need not load the ingest feature; a test compares them with its list. */
export const REASONS = ['undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'unknown_purchase', 'discarded'] as const satisfies readonly DeadLetterReason[];

/** Which dead letters a command is about. */
export interface FilterOptions {
  cause?: DeadLetterReason[];
  user?: string;
  event?: string;
  topic?: string;
  partition?: number;
  since?: number;
  until?: number;
}

export function filtered(command: Command): Command {
  const instant = instantOption(() => systemClock.now());
  return command
    .option('--cause <reasons>', `only these, separated by commas: ${REASONS.join(', ')}`, listOption(REASONS))
    .option('--user <user>', 'only of this user', uuidArgument)
    .option('--event <event>', 'only this event', uuidArgument)
    .option('--topic <topic>', 'only from this topic, full name')
    .option('--partition <number>', 'only from this partition', integerOption(0, 100_000))
    .option('--since <time>', 'only those buried since: 2026-11-04T09:30:00Z, or 2h for two hours ago', instant)
    .option('--until <time>', 'only those buried before', instant);
}

export const filterOf = ({ cause, user, event, topic, partition, since, until }: FilterOptions, ids: readonly bigint[] = []): LetterFilter => ({
  ...(ids.length > 0 && { ids }),
  ...(cause !== undefined && { reasons: cause }),
  ...(user !== undefined && { userId: user }),
  ...(event !== undefined && { eventId: event }),
  ...(topic !== undefined && { topic }),
  ...(partition !== undefined && { partition }),
  ...(since !== undefined && { since }),
  ...(until !== undefined && { until }),
});

/** Whether any of the options narrows it down: a command that changes many does not take "all" for granted. */
export const isFiltered = (filter: LetterFilter): boolean => Object.keys(filter).length > 0;

/** The original bytes in base64: a dead letter is often one because it is no text. */
export function letterJson({ source, edited, ...letter }: DeadLetter): object {
  const headers = Object.entries(source.headers).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, base64(one as Buffer | string | undefined)]));
  return {
    ...letter,
    edited: edited === null ? null : { key: base64(edited.key), value: base64(edited.value) },
    source: { topic: source.topic, partition: source.partition, offset: source.offset, timestamp: new Date(source.timestamp), key: base64(source.key), value: base64(source.value), headers },
  };
}

const base64 = (bytes: Buffer | string | null | undefined): string | null => (bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('base64'));

export const placeOf = ({ source }: DeadLetter): string => `${source.topic}/${source.partition}@${source.offset}`;

/** Classic dump: offset, sixteen bytes, what of them is text. */
export function hexDump(bytes: Buffer, most: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, most));
    lines.push(`${at.toString(16).padStart(6, '0')}  ${row.toString('hex').replaceAll(/(..)/g, '$1 ').padEnd(48)} ${row.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.')}`);
  }
  if (bytes.length > most) lines.push(`… ${bytes.length - most} bytes more (--json has all of them)`);
  return lines;
}
