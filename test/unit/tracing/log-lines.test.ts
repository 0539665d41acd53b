import { pino } from 'pino';
import { expect, test } from 'vitest';
import { dispatcherMetrics } from '../../../src/marketplace/index.ts';
import { needsOperator, unknown } from '../../../src/marketplace/dispatcher/results.ts';
import { relayMetrics } from '../../../src/outbox/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import type { Logger } from '../../../src/platform/log.ts';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { sagaMetrics } from '../../../src/purchase/index.ts';
import type { HistoryRow } from '../../../src/purchase/fold.ts';
import { uuid } from '../../support/events.ts';
import { work } from '../../support/operations.ts';
import { sampledTrace } from '../../support/recording-tracer.ts';

/** Protects: a line about one sale or one record says to which trace it belongs, and no line says so where there is none. */
const { trace, traceparent } = sampledTrace(1);

function lines(tell: (logger: Logger) => void): Record<string, unknown>[] {
  const said: string[] = [];
  tell(pino({ level: 'info' }, { write: (line: string) => void said.push(line) }));
  return said.map((line) => JSON.parse(line) as Record<string, unknown>);
}

const stuck = (of: string | null): HistoryRow => ({
  eventId: uuid(9),
  fact: { fact: 'stuck', why: 'unexplained' },
  saga: { userId: uuid(1), purchaseId: uuid(2), eventId: uuid(3), startedAt: 0, currency: 'EUR', buyerId: null, lines: [], deadlineAt: 0, version: 3, state: 'NEEDS_OPERATOR', reason: null, cancelled: false, sold: false, traceparent: of },
});

const metrics = createMetrics({ process: false });
const CASES: [what: string, tell: (logger: Logger, of: string | null) => void, lines: number][] = [
  ['a sale that needs an operator', (logger, of) => sagaMetrics(metrics, { clock: systemClock, logger }).swept(1, [stuck(of)]), 1],
  ['an operation that needs one', (logger, of) => dispatcherMetrics(metrics, { clock: systemClock, logger }).settled(work({ traceparent: of }), needsOperator()), 1],
  ['an answer that is lost', (logger, of) => dispatcherMetrics(metrics, { clock: systemClock, logger }).settled(work({ traceparent: of }), unknown(1_000)), 1],
  ['a record Kafka refuses', (logger, of) => relayMetrics(metrics, logger).blocked('t', uuid(1), 'too large', of === null ? undefined : trace.traceId), 1],
];

test.each(CASES)('%s', (_what, tell, count) => {
  const traced = lines((logger) => tell(logger, traceparent));
  expect(traced).toHaveLength(count);
  for (const line of traced) expect(line['trace_id']).toBe(trace.traceId);
  for (const line of lines((logger) => tell(logger, null))) expect(line).not.toHaveProperty('trace_id');
});
