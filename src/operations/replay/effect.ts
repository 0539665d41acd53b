import type { SourceRecord } from '../../platform/consumer/index.ts';
import type { Codec } from '../../platform/kafka/index.ts';
import type { Postgres } from '../../platform/postgres/index.ts';
import { bornAt, MARKETPLACE_RECORDS } from '../../ingest/index.ts';
import { Decoder } from '../../records/index.ts';
import { readTopic, type RawRecord } from '../verify/index.ts';
import type { GroupDeps, GroupState } from './group.ts';
import type { PlannedPartition } from './plan.ts';
import { readKnown } from './replays.sql.ts';

/** What becomes of records that are read again. */
export interface Effect {
  readonly records: number;
  /** Applied before, or waiting with a parked user: recognised by their event id, no effect. */
  readonly duplicates: number;
  /** Dead letters before, known by their place: not written again. */
  readonly buried: number;
  /** Dead letters from now on: not known any more, or never, and from before the horizon. */
  readonly tooOld: number;
  /** Holes that would be filled: good records without effect so far. */
  readonly fresh: number;
  /** Cannot be used, and were never dead-lettered: they will be. */
  readonly unusable: number;
}

export interface EffectDeps extends GroupDeps {
  readonly postgres: Pick<Postgres, 'prisma'>;
  readonly codec: Codec;
  /** Deduplication horizon of the ingest role. */
  readonly horizonMs: number;
  readonly signal?: AbortSignal;
}

/** So many records are read to say exactly what becomes of them: a second or two. Of more, the rule is told. */
export const MOST_EXAMINED = 50_000;
const BATCH = 1_000;

/** Reads what a replay would read again, and asks the database about each record; it changes nothing. */
export async function examine(deps: EffectDeps, planned: readonly PlannedPartition[], { standings }: GroupState): Promise<Effect> {
  const decoder = new Decoder(deps.codec, MARKETPLACE_RECORDS);
  const tooOldBefore = deps.clock.now() - deps.horizonMs;
  const effect = { records: 0, duplicates: 0, buried: 0, tooOld: 0, fresh: 0, unusable: 0 };
  const seen = new Set<string>();
  let waiting: SourceRecord[] = [];
  const look = async (): Promise<void> => {
    const records = waiting;
    waiting = [];
    const entries = await decoder.decode(records);
    const known = await readKnown(deps.postgres.prisma, deps.group.topic, entries.map((entry) => ({
      partition: entry.source.partition,
      offset: Number(entry.source.offset),
      eventId: entry.kind === 'event' ? entry.event.event_id : null,
      userId: entry.kind === 'event' ? entry.event.user_id : null,
      purchaseId: entry.kind === 'event' && entry.type === 'PurchaseRequested' ? entry.event.purchase_id : null,
    })));
    entries.forEach((entry, index) => {
      effect.records += 1;
      if (entry.kind === 'event' && (known.duplicates.has(index) || seen.has(entry.event.event_id))) effect.duplicates += 1;
      else if (known.buried.has(index)) effect.buried += 1;
      else if (entry.kind === 'dead') effect.unusable += 1;
      else if (bornAt(entry.event.event_id, entry.event.occurred_at) < tooOldBefore) effect.tooOld += 1;
      else {
        effect.fresh += 1;
        seen.add(entry.event.event_id);
      }
    });
  };
  const ranges = new Map(standings.map(({ partition }) => [partition, rangeOf(planned.find((one) => one.partition === partition))]));
  const reader = { kafka: deps.kafka, codec: deps.codec, clock: deps.clock, topic: deps.group.topic, groupId: deps.group.id, ...(deps.signal !== undefined && { signal: deps.signal }) };
  const [starts, ends] = [0, 1].map((side) => new Map([...ranges].map(([partition, range]) => [partition, range[side] ?? 0]))) as [Map<number, number>, Map<number, number>];
  await readTopic(
    reader,
    ends,
    (record) => {
      waiting.push(sourceOf(deps.group.topic, record));
      return waiting.length < BATCH ? undefined : look();
    },
    starts,
  );
  if (waiting.length > 0) await look();
  return effect;
}

/** What is read again of a partition: from the new offset to where the group stands. */
function rangeOf(planned: PlannedPartition | undefined): readonly [from: number, to: number] {
  return planned === undefined ? [0, 0] : [Number(planned.to), Number(planned.to) + planned.records];
}

/** Headers are not read back: nothing that is asked here depends on them. */
export const sourceOf = (topic: string, { partition, offset, timestamp, key, value }: RawRecord): SourceRecord => ({ topic, partition, offset: String(offset), timestamp, key, value, headers: {} });
