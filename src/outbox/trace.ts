import { restoreHeaders } from '../platform/kafka/index.ts';
import { linksTo, MAX_LINKS, record, traceOf, TRACEPARENT, within, type TraceContext, type Tracer } from '../platform/tracing/index.ts';
import type { Published } from './publish.ts';
import type { OutboxRow } from './rows.sql.ts';

/** The trace a row's record belongs to, as its headers say. */
export function traceOfRow({ headers }: Pick<OutboxRow, 'headers'>): TraceContext | undefined {
  const own = headers?.filter(([name]) => name === TRACEPARENT) ?? [];
  return own.length === 0 ? undefined : traceOf(restoreHeaders(own));
}

/** One request as a span, a trace of its own with links; each record of a recorded trace has a span there, too, the first of them. */
export async function tracedPublish(tracer: Tracer, now: () => number, rows: readonly OutboxRow[], work: () => Promise<Published>): Promise<Published> {
  if (!tracer.enabled) return work();
  const at = now();
  const traces = new Map(rows.map((row) => [row, traceOfRow(row)]));
  const span = tracer.start({
    name: 'publish outbox',
    kind: 'producer',
    at,
    links: linksTo(traces.values()),
    attributes: { 'messaging.system': 'kafka', 'messaging.operation.type': 'send', 'messaging.batch.message_count': rows.length },
  });
  const published = await within(span, work, ({ rows: sent, refused }) => ({ 'brx.published': sent.length, 'brx.refused': refused.length }));
  const links = span.context === undefined ? [] : [span.context];
  const recorded = published.rows.filter((row) => traces.get(row)?.sampled === true).slice(0, MAX_LINKS);
  for (const row of recorded) {
    record(tracer, {
      name: `send ${row.topic}`,
      kind: 'producer',
      parent: traces.get(row),
      at,
      links,
      attributes: { 'messaging.system': 'kafka', 'messaging.operation.type': 'send', 'messaging.destination.name': row.topic, 'brx.user_id': row.userId ?? undefined, 'brx.event_id': row.eventId ?? undefined },
    });
  }
  return published;
}
