import { partitionOf, TOPICS } from '../contract/index.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { Decoder } from '../records/index.ts';
import { applyOrPark, type ApplyDeps } from './apply.ts';
import { publishes } from './chunk.ts';
import type { IngestResult } from './observer.ts';
import type { IngestEntry, MarketplaceRecord } from './record.ts';
import { tracedChunk, type TracedChunk } from './trace.ts';

/** A chunk of records of one partition: decoded, then applied in one transaction. */
export function chunkHandler(decoder: Decoder<MarketplaceRecord>, apply: ApplyDeps): (records: readonly SourceRecord[]) => Promise<IngestResult> {
  const work = async (records: readonly SourceRecord[]): Promise<TracedChunk> => {
    faultPoint('ingest.before-decode');
    const entries = await decoder.decode(records);
    // Before the transaction: what a purchase publishes is encoded in it, and the registry may be away.
    if (entries.some(publishes)) await apply.purchase.encoder.prepare();
    faultPoint('ingest.after-decode');
    return { entries, result: { types: entries.map(typeOf), misrouted: countMisrouted(entries), ...(await applyOrPark(apply, entries)) } };
  };
  const { tracer, clock } = apply;
  if (tracer?.enabled !== true) return async (records) => (await work(records)).result;
  return (records) => tracedChunk(tracer, () => clock.now(), records, () => work(records));
}

const typeOf = (entry: IngestEntry): MarketplaceRecord | 'unusable' => (entry.kind === 'event' ? entry.type : 'unusable');

/** Events that are not where murmur2 of their key puts them: their producer uses another partitioner, and their order is its luck. */
function countMisrouted(entries: readonly IngestEntry[]): number {
  const rightPartitions = new Map<string, number>();
  let count = 0;
  for (const entry of entries) {
    if (entry.kind === 'dead') continue;
    const { user_id: userId } = entry.event;
    let right = rightPartitions.get(userId);
    if (right === undefined) rightPartitions.set(userId, (right = partitionOf(userId, TOPICS.marketplaceEvents.partitions)));
    if (right !== entry.source.partition) count += 1;
  }
  return count;
}
