import type { SourceRecord } from '../platform/consumer/index.ts';
import { linksTo, MAX_LINKS, record, traceOf, within, type Tracer } from '../platform/tracing/index.ts';
import { traceSteps } from '../purchase/index.ts';
import type { IngestResult } from './observer.ts';
import type { IngestEntry, MarketplaceEntry } from './record.ts';

/** The part of a chunk that spans tell. */
export interface TracedChunk {
  readonly entries: readonly IngestEntry[];
  readonly result: IngestResult;
}

/**
 * `work` as a span: a trace of its own, because the records of a chunk belong to many, linked to those that somebody records. A sale has
 * a span in its own trace beside it, and so has each step it took, so that its story begins there; a stock change has only the link, for there are too many.
 */
export async function tracedChunk(tracer: Tracer, now: () => number, records: readonly SourceRecord[], work: () => Promise<TracedChunk>): Promise<IngestResult> {
  const at = now();
  const first = records[0];
  const span = tracer.start({
    name: `process ${first?.topic ?? ''}`,
    kind: 'consumer',
    at,
    links: linksTo(records.map(({ headers }) => traceOf(headers))),
    attributes: { 'messaging.system': 'kafka', 'messaging.operation.type': 'process', 'messaging.destination.name': first?.topic, 'messaging.batch.message_count': records.length },
  });
  const { entries, result } = await within(span, work, ({ result: { outcomes, deadLetters, enqueued } }) => ({
    'brx.applied': outcomes.filter((outcome) => outcome === 'ok').length,
    'brx.dead_letters': deadLetters.length,
    'brx.enqueued': enqueued,
  }));
  traceSteps(tracer, at, result.steps);
  const links = span.context === undefined ? [] : [span.context];
  let told = 0;
  for (const [index, entry] of entries.entries()) {
    if (!isSale(entry) || result.outcomes[index] === 'duplicate' || told === MAX_LINKS) continue; // a replay adds nothing to a trace
    const parent = traceOf(entry.source.headers);
    if (parent?.sampled !== true) continue;
    told += 1;
    const { user_id: userId, purchase_id: purchaseId, event_id: eventId } = entry.event;
    const { topic, partition, offset } = entry.source;
    record(tracer, {
      name: `apply ${entry.type}`,
      kind: 'consumer',
      parent,
      at,
      links,
      attributes: {
        'brx.user_id': userId,
        'brx.purchase_id': purchaseId,
        'brx.event_id': eventId,
        'brx.outcome': result.outcomes[index],
        'messaging.system': 'kafka',
        'messaging.operation.type': 'process',
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': String(partition),
        'messaging.kafka.offset': Number(offset),
      },
    });
  }
  return result;
}

type SaleEntry = Exclude<MarketplaceEntry, { type: 'InventoryChanged' }>;
const isSale = (entry: IngestEntry): entry is SaleEntry => entry.kind === 'event' && entry.type !== 'InventoryChanged';
