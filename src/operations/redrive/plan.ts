import { TOPICS, topicName, type RecordName } from '../../contract/index.ts';
import { MARKETPLACE_RECORDS } from '../../ingest/index.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Codec } from '../../platform/kafka/index.ts';
import type { Postgres } from '../../platform/postgres/index.ts';
import { SAGA_RECORDS } from '../../purchase/index.ts';
import { Decoder, type DeadLetter, type Entry, type Redriven } from '../../records/index.ts';
import { readEvidence, type Evidence } from './evidence.sql.ts';
import { INSISTED, judge, question, type Judged } from './judge.ts';

export interface RedriveDeps {
  readonly postgres: Postgres;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly topicPrefix: string;
  readonly horizonMs: number;
}

/** A dead letter, what would be sent, and whether it should be. */
export interface Planned extends Redriven, Judged {
  readonly sends: boolean;
}

/** A topic whose dead letters can be sent again: what its reader takes, and whether it refuses what is older than the horizon. */
export interface Readers {
  readonly records: readonly RecordName[];
  readonly horizon: boolean;
}

const READ: ReadonlyMap<string, Readers> = new Map([
  [TOPICS.marketplaceEvents.name, { records: MARKETPLACE_RECORDS, horizon: true }],
  [TOPICS.sagaEvents.name, { records: SAGA_RECORDS, horizon: false }],
]);

/** By the topic's full name; undefined for a topic that nobody here reads. */
export function readersOf(topicPrefix: string, topic: string): Readers | undefined {
  return [...READ].find(([name]) => topicName(topicPrefix, { name } as typeof TOPICS.marketplaceEvents) === topic)?.[1];
}

/**
 * What would come of sending these again. `seen`: ids of events that an earlier page has taken on; two letters of one event are sent once.
 * `anyway`: send also what is superseded or unfit.
 */
export async function planRedrive(deps: RedriveDeps, letters: readonly (Pick<Redriven, 'letter'> & Partial<Redriven>)[], { seen, anyway }: { seen: Set<string>; anyway: boolean }): Promise<Planned[]> {
  const entries = await decode(deps, letters.map(({ letter, edited }) => (edited === null || edited === undefined ? letter : { ...letter, source: { ...letter.source, ...edited } })));
  const asked = entries.flatMap((entry) => (entry === undefined ? [] : [question(entry)])).filter((one) => one !== undefined);
  const evidence = new Map<string, Evidence>();
  if (asked.length > 0) (await readEvidence(deps.postgres.prisma, asked)).forEach((found, index) => evidence.set(asked[index]?.eventId ?? '', found));
  const tooOldBefore = deps.clock.now() - deps.horizonMs;

  return letters.map(({ letter, edited = null }, index): Planned => {
    const entry = entries[index];
    const event = entry?.kind === 'event' ? entry.event : undefined;
    const eventId = event?.event_id ?? letter.eventId;
    const judged = ((): Judged => {
      if (entry === undefined) return { verdict: 'unfit', detail: `nothing is sent again to topic ${letter.source.topic}: chunks of a bulk sync are replaced by another sync; else see whether BRX_TOPIC_PREFIX is right` };
      if (event !== undefined && seen.has(event.event_id)) return { verdict: 'duplicate', detail: 'another dead letter of this run has its id' };
      return judge(entry, evidence.get(event?.event_id ?? ''), readersOf(deps.topicPrefix, letter.source.topic)?.horizon === true ? tooOldBefore : 0);
    })();
    const sends = judged.verdict === 'send' || (anyway && entry !== undefined && INSISTED.has(judged.verdict));
    if (sends && event !== undefined) seen.add(event.event_id);
    return { letter, edited, userId: event?.user_id ?? letter.userId, eventId, sends, ...judged };
  });
}

/** As the topic's own reader would; undefined where there is none. */
async function decode({ codec, topicPrefix }: RedriveDeps, letters: readonly DeadLetter[]): Promise<(Entry | undefined)[]> {
  const entries: (Entry | undefined)[] = Array.from({ length: letters.length });
  for (const topic of new Set(letters.map(({ source }) => source.topic))) {
    const readers = readersOf(topicPrefix, topic);
    if (readers === undefined) continue;
    const indexes = [...letters.keys()].filter((index) => letters[index]?.source.topic === topic);
    const decoded = await new Decoder(codec, readers.records).decode(indexes.flatMap((index) => letters[index]?.source ?? []));
    indexes.forEach((index, n) => (entries[index] = decoded[n]));
  }
  return entries;
}
