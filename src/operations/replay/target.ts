import { BrxError } from '../../errors.ts';
import type { Target } from './plan.ts';

/** Targets as people and Kafka's own tools write them. Pure. */

const ZONED = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:?\d{2})$/i;
const DURATION = /^(?:\d+[dhms])+$/;
const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };

/** An instant with its zone: without one, whose clock is meant is a guess. Undefined for anything else. */
export function instantOf(text: string): number | undefined {
  if (!ZONED.test(text)) return undefined;
  const at = Date.parse(text.replace(' ', 'T'));
  return Number.isNaN(at) ? undefined : at;
}

/** `2h`, `1d12h`, `90m` in milliseconds; undefined for anything else. */
export function durationOf(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  return [...text.matchAll(/(\d+)([dhms])/g)].reduce((sum, [, count = '0', unit = 's']) => sum + Number(count) * (UNITS[unit] ?? 0), 0);
}

/**
 * Offsets of `topic` in the file format of `kafka-consumer-groups --reset-offsets --export`: a line `topic,partition,offset` each, or
 * `group,topic,partition,offset` if several groups were exported. Throws BRX_USAGE with the line.
 */
export function offsetsOfFile(text: string, { group, topic }: { group: string; topic: string }): Target {
  const offsets = new Map<number, bigint>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const fields = line.split(',').map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
    const [ofGroup, ofTopic, partition, offset] = fields.length === 4 ? fields : [group, ...fields];
    if (fields.length < 3 || fields.length > 4 || !/^\d+$/.test(partition ?? '') || !/^\d+$/.test(offset ?? '')) {
      throw new BrxError('BRX_USAGE', `line ${index + 1} of the offsets is not topic,partition,offset: ${line.slice(0, 200)}`, { remedy: 'it is the format of `kafka-consumer-groups --reset-offsets --export`' });
    }
    if (ofGroup === group && ofTopic === topic) offsets.set(Number(partition), BigInt(offset ?? 0));
  }
  if (offsets.size === 0) throw new BrxError('BRX_USAGE', `the file has no offset of ${topic}${text.includes(topic) ? ` for group ${group}` : ''}`, { remedy: 'see that it was exported from the same group and topic' });
  return { to: 'file', offsets };
}

/** As the record of the replay keeps it. */
export function targetWords(target: Target): string {
  switch (target.to) {
    case 'earliest':
      return 'to the earliest record';
    case 'offset':
      return `to offset ${target.offset}`;
    case 'time':
      return `to ${new Date(target.at).toISOString()}`;
    case 'shift':
      return target.by < 0n ? `back by ${-target.by}` : `forward by ${target.by}`;
    case 'file':
      return `to the offsets of a file (${target.offsets.size} partition${target.offsets.size === 1 ? '' : 's'})`;
  }
}
