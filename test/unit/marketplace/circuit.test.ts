import { describe, expect, test } from 'vitest';
import { verdict, type Question } from '../../../src/marketplace/client/verdict.ts';
import type { Exchange } from '../../../src/marketplace/client/transport.ts';
import type { Outcome } from '../../../src/marketplace/client/index.ts';
import { afterAnswer, backoffMs, FAILURES_TO_OPEN, isProbing, type Circuit } from '../../../src/marketplace/dispatcher/circuit.ts';
import { stalled } from '../../../src/marketplace/dispatcher/results.ts';
import { intent, NOON, work } from '../../support/operations.ts';

/** Protects: a seller whose calls come to nothing is left alone for a while, and is not for anything else; the way back is one operation, which begins with a read. */
const CLOSED: Circuit = { failures: 0, openUntil: null };
const question: Question<unknown> = { bucket: 'all', token: 'secret', durationMs: 1, now: NOON, read: (value) => ({ ok: true, value }) };
const answer = (status: number, body = '{"error_code":"x","errors":[]}'): Exchange => ({ kind: 'answer', status, headers: {}, body: Buffer.from(body) });

/** The circuit after this many reads that ended so, from what was on the wire. */
function after(exchange: Exchange, times: number, from = CLOSED): Circuit {
  const outcome: Outcome<unknown> = verdict(exchange, question);
  if (outcome.outcome === 'applied') throw new Error('a read that was answered');
  let circuit = from;
  for (const state of Array.from({ length: times }, (_, n) => (n % 2 === 0 ? ('PENDING' as const) : ('UNKNOWN' as const)))) circuit = afterAnswer(circuit, stalled(work({ state, intent: intent() }), outcome, 1_000).answered, NOON);
  return circuit;
}

const unsent = (cause: 'timeout' | 'reset' | 'busy' | 'aborted'): Exchange => ({ kind: 'none', sent: false, cause, detail: '' } as Exchange);
const lost = (cause: 'timeout' | 'reset'): Exchange => ({ kind: 'none', sent: true, cause, detail: '' } as Exchange);

describe('what opens it', () => {
  test.each<[string, Exchange]>([
    ['500', answer(500)],
    ['503', answer(503)],
    ['a page of HTML with a 502', answer(502, '<html></html>')],
    ['no answer in time', lost('timeout')],
    ['the connection is reset', lost('reset')],
    ['a 200 that says nothing', answer(200, '')],
    ['a redirect', answer(302)],
  ])('%s', (_, exchange) => {
    expect(after(exchange, FAILURES_TO_OPEN - 1).openUntil).toBeNull();
    expect(after(exchange, FAILURES_TO_OPEN).openUntil).toBe(NOON + 10_000);
  });
});

describe('what never does', () => {
  test.each<[string, Exchange]>([
    ['400', answer(400)],
    ['401', answer(401)],
    ['403', answer(403)],
    ['403 of the edge', answer(403, 'blocked')],
    ['404', answer(404)],
    ['422', answer(422)],
    ['429', answer(429, '{"error":"Too many requests: max 200 requests per 10 seconds"}')],
    ['no connection was free', unsent('busy')],
    ['it could not connect', unsent('timeout')],
    ['we gave up before sending', unsent('aborted')],
  ])('%s, a hundred times', (_, exchange) => {
    expect(after(exchange, 100)).toEqual(CLOSED);
  });
});

test('a usable answer in between begins the count anew; a 429 in between changes nothing', () => {
  const four = after(answer(500), FAILURES_TO_OPEN - 1);
  expect(afterAnswer(afterAnswer(four, true, NOON), false, NOON)).toEqual({ failures: 1, openUntil: null });
  expect(after(answer(429), 3, four)).toEqual(four);
  expect(afterAnswer(after(answer(429), 3, four), false, NOON).openUntil).toBe(NOON + 10_000);
});

test('open: one operation may be tried when its time is over; a usable answer closes it, none opens it for longer', () => {
  const open = after(answer(500), FAILURES_TO_OPEN);
  expect(isProbing(open)).toBe(true);
  expect(afterAnswer(open, true, NOON)).toEqual(CLOSED);
  expect(isProbing(afterAnswer(open, true, NOON))).toBe(false);
  const longer: number[] = [];
  for (let circuit = open; longer.length < 8; ) {
    circuit = afterAnswer(circuit, false, NOON);
    longer.push((circuit.openUntil ?? 0) - NOON);
  }
  expect(longer).toEqual([20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000, 300_000]);
  expect(afterAnswer({ failures: 1_000_000, openUntil: null }, false, NOON).openUntil).toBe(NOON + 300_000);
});

test('each call without a usable answer makes the next wait longer, up to a minute', () => {
  expect([0, 1, 2, 5, 6, 60].map((failures) => backoffMs({ failures }))).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
});
