import { record, storedTrace, type Tracer } from '../platform/tracing/index.ts';
import type { HistoryRow } from './fold.ts';

/**
 * Steps that are committed, each a span of its sale's trace from `at` (ms) until now. Its parent is whoever asked for the purchase, not the step
 * before: a step may be taken by any process, after any record or none.
 */
export function traceSteps(tracer: Tracer, at: number, steps: readonly HistoryRow[]): void {
  if (!tracer.enabled) return;
  for (const { saga, fact, eventId } of steps) {
    const parent = storedTrace(saga.traceparent);
    if (parent?.sampled !== true) continue;
    record(tracer, {
      name: `sale ${fact.fact}`,
      parent,
      at,
      attributes: { 'brx.user_id': saga.userId, 'brx.purchase_id': saga.purchaseId, 'brx.event_id': eventId, 'brx.sale.state': saga.state.toLowerCase(), 'brx.sale.version': saga.version, 'brx.sale.reason': saga.reason ?? undefined },
    });
  }
}
