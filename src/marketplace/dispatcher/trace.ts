import { NO_SPAN, storedTrace, within, type TraceContext, type Tracer } from '../../platform/tracing/index.ts';
import type { CarriedOut } from './carry-out.ts';
import type { Work } from './work.ts';

/** One try of a sale's operation as a span of the sale's trace; the calls in it are spans below it. Others have none. */
export async function tracedOperation(tracer: Tracer, work: Work, carryOut: (trace: TraceContext | undefined) => Promise<CarriedOut>): Promise<CarriedOut> {
  const parent = storedTrace(work.traceparent);
  const { kind, id, userId, purchaseId, attempts, state } = work;
  const span =
    parent === undefined
      ? NO_SPAN
      : tracer.start({ name: `operation ${kind}`, parent, attributes: { 'brx.user_id': userId, 'brx.purchase_id': purchaseId ?? undefined, 'brx.operation_id': id, 'brx.operation.from': state.toLowerCase(), 'brx.operation.attempts': attempts } });
  // Null: it was called off, or the seller is somebody else's now.
  return within(span, () => carryOut(span.context), ({ result }) => ({ 'brx.outcome': result?.to.toLowerCase() ?? 'abandoned', 'brx.reason': result?.reason ?? undefined }));
}
