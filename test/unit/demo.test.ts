import { expect, test } from 'vitest';
import { bucketsOf, parseExposition, quantile, total } from '../../demo/exposition.ts';
import { interleave } from '../../demo/market.ts';
import { readOptions } from '../../demo/options.ts';
import { judge, showReport, type Evidence } from '../../demo/report.ts';
import type { View } from '../../demo/view.ts';
import { createMetrics } from '../../src/platform/metrics.ts';

/** A demo that always says "held" would be worse than none: each promise is shown to break when its evidence does. */
const counts = { undecodable: 2, unknown_type: 0, invalid: 0, key_mismatch: 0, too_old: 0, would_go_negative: 3, out_of_range: 0, unknown_purchase: 0, discarded: 0 };

function evidence(change: (good: Evidence) => void = () => undefined): Evidence {
  const worker = { name: 'a', clientId: 'brx-demo-a', memoryPeak: 200_000_000, latency: new Map() };
  const good = {
    options: { events: 1_000, users: 10, seed: 1, keep: false },
    run: { folder: '/tmp/run', command: (of: string) => `npx brx-sync ${of}`, config: { postgres: { poolMax: 8, url: 'postgresql://brx:hush-hush@h/d' }, kafka: { topicPrefix: 'demo-1.' } } },
    urls: { kafkaBrokers: 'h:1', registryUrl: 'http://h:2' },
    verified: {
      ok: true,
      complete: true,
      compared: { records: 1_000, partitions: 12, users: 10, items: 90, ledger_rows: 960, dead_letters: 5 },
      outcomes: { applied: 930, stale: 20, rejected: 10, duplicate: 35, dead_letters: counts, parked: 0, pending: 0 },
      parked_users: 0,
      scattered_users: 0,
      sales: { total: 60, by_state: {}, open: 0, outcomes_told: 60, outcomes_waiting: 0 },
      differences: { total: 0, by_kind: { item: 0, ledger: 0, order: 0, dead_letter: 0, parked: 0, sale: 0, hold: 0, operation: 0, outcome: 0 }, first: [] },
      duration_ms: 10,
    },
    facts: { lowest: 0, drifted: 1, unlucky: 4, wentOn: 3 },
    sales: { CONFIRMED: 40, REJECTED: 15, COMPENSATED: 5 },
    market: { requests: 300, throttled: 0, densest: 190, faults: 20, operations: 45, repeated: 0, items: 40, unequal: [] },
    deadLetterRecords: 5,
    kill: { worker, pid: 1, at: 0.5, partitions: [1, 2], recoveredAfter: 6.5 },
    workers: [worker],
    peakConnections: new Map([['brx-demo-a', 6]]),
    exits: [0],
    seconds: { apply: 10, settle: 12, stop: 1, total: 20 },
    published: { rate: 100, paced: true },
    bestRate: 200,
    item: undefined,
  } as unknown as Evidence;
  change(good);
  return good;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends object ? Mutable<T[K]> : T[K] };
const broken = (change: (one: Mutable<Evidence>) => void): string[] => judge(evidence(change as unknown as (one: Evidence) => void)).filter(({ held }) => !held).map(({ promise }) => promise.slice(0, 2));

test('with nothing wrong every promise held', () => {
  expect(broken(() => undefined)).toEqual([]);
});

test.each<[string, string, (one: Mutable<Evidence>) => void]>([
  ['P1', 'an event at another place in its item’s history', (one) => (one.verified.differences.by_kind.order = 1)],
  ['P2', 'an event that took effect twice', (one) => (one.verified.differences.by_kind.ledger = 1)],
  ['P2', 'an item that is not what the oracle says', (one) => (one.verified.differences.by_kind.item = 1)],
  ['P3', 'an event nobody accounts for', (one) => (one.verified.outcomes.applied = 929)],
  ['P3', 'records that are not processed', (one) => (one.verified.complete = false)],
  ['P4', 'a dead letter that should not be, or is missing', (one) => (one.verified.differences.by_kind.dead_letter = 1)],
  ['P4', 'a dead letter that is not on its topic', (one) => (one.deadLetterRecords = 4)],
  ['P5', 'a stock below zero', (one) => (one.facts.lowest = -1)],
  ['P5', 'another number on CardTrader than here', (one) => (one.market.unequal = ['item x: 1 here, 2 there'])],
  ['P6', 'a sale that has not ended', (one) => (one.sales['CALLING'] = 1)],
  ['P6', 'a sale whose shop was told something else, or nothing', (one) => (one.verified.differences.by_kind.outcome = 1)],
  ['P7', 'a change on CardTrader that took effect twice', (one) => (one.market.repeated = 1)],
  ['P8', 'an answer of 429', (one) => (one.market.throttled = 1)],
  ['P8', 'more requests than are allowed', (one) => (one.market.densest = 201)],
  ['P9', 'more connections than allowed', (one) => (one.peakConnections = new Map([['brx-demo-a', 9]]))],
])('%s is broken by %s', (promise, _what, change) => {
  expect(broken(change)).toEqual([promise]);
});

test('a difference makes the report fail and is told; passwords are not', () => {
  const lines: string[] = [];
  const view: View = { redraws: false, line: (text = '') => lines.push(text), block: () => undefined, clear: () => undefined, paint: (_style, text) => text, step: (_title, work) => work(() => undefined) };
  expect(showReport(view, evidence())).toBe(true);
  const different = evidence((one) => {
    Object.assign(one.verified, { ok: false });
    Object.assign(one.verified.differences, { total: 1, first: [{ what: 'item', problem: 'an item is missing' }] });
  });
  lines.length = 0;
  expect(showReport(view, different)).toBe(false);
  expect(lines.join('\n')).toContain('an item is missing');
  expect(lines.join('\n')).toContain('brx:***@h');
  expect(lines.join('\n')).not.toContain('hush');
});

test('what /metrics says is read as it is written', async () => {
  const metrics = createMetrics({ process: false });
  metrics.events.inc({ event_type: 'a "quoted" \\ name', outcome: 'ok' }, 3);
  metrics.events.inc({ event_type: 'b', outcome: 'dead' }, 4);
  const series = metrics.endToEnd.series({ event_type: 'b', outcome: 'ok' });
  for (const seconds of [0.2, 0.2, 0.2, 4]) series.observe(seconds);
  const samples = parseExposition(await metrics.render());
  expect(total(samples, 'brx_events_total')).toBe(7);
  const buckets = bucketsOf(samples, 'brx_event_end_to_end_seconds');
  expect(quantile(buckets, 0.5)).toBeCloseTo(0.2, 1);
  expect(quantile(buckets, 0.99)).toBeGreaterThan(2.5);
  expect(quantile(new Map(), 0.5)).toBeNull();
});

test('a few are spread evenly over many, each in its own order', () => {
  const mixed = [...interleave<string | number>([1, 2, 3, 4, 5, 6], 6, ['a', 'b', 'c'])];
  expect(mixed).toEqual([1, 2, 'a', 3, 4, 'b', 5, 6, 'c']);
  expect([...interleave<string | number>([1], 1, ['a', 'b'])]).toEqual([1, 'a', 'b']);
  expect([...interleave([], 0, ['a'])]).toEqual(['a']);
});

test('options: numbers may have separators, what cannot be is refused with its name', () => {
  expect(readOptions(['--events', '1_000_000', '--users', '5,000', '--keep'])).toEqual({ events: 1_000_000, users: 5_000, seed: 1, keep: true });
  for (const args of [['--events', '999'], ['--users', ''], ['--seed', '1.5'], ['--speed'], ['extra']]) expect(() => readOptions(args)).toThrow(expect.objectContaining({ code: 'BRX_USAGE' }) as Error);
});
