import { createRequire } from 'node:module';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { patchKafkajsTimerLoop } from '../../../src/platform/kafka/timer-patch.ts';

/** Protects: an idle connection costs no timer, and a request that had to wait is still sent. */
interface Entry {
  correlationId: number;
  resolve: () => void;
  reject: () => void;
}
interface Queue {
  push(request: { entry: Entry; expectResponse: boolean; sendRequest: () => void }): void;
  fulfillRequest(response: { correlationId: number; payload: Buffer; size: number }): void;
  maybeThrottle(ms: number): void;
  destroy(): void;
}
type QueueClass = new (options: object) => Queue;

const require = createRequire(import.meta.url);
const PATH = require.resolve('kafkajs/src/network/requestQueue/index.js');
const silent = { debug: () => undefined, warn: () => undefined, error: () => undefined, info: () => undefined };

const entry = (correlationId: number): Entry => ({ correlationId, resolve: () => undefined, reject: () => undefined });

function freshClass(): QueueClass {
  delete require.cache[PATH];
  return require(PATH) as QueueClass;
}

function open(Class: QueueClass, maxInFlightRequests: number | null = null): Queue {
  return new Class({ maxInFlightRequests, requestTimeout: 30_000, enforceRequestTimeout: false, clientId: 'test', broker: 'test:1', logger: silent });
}

function exchange(queue: Queue, correlationId: number): void {
  queue.push({ entry: entry(correlationId), expectResponse: true, sendRequest: () => undefined });
  queue.fulfillRequest({ correlationId, payload: Buffer.alloc(0), size: 0 });
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('kafkajs as it comes re-arms its timer on an idle connection (what the patch is for)', () => {
  const queue = open(freshClass());
  exchange(queue, 1);
  vi.advanceTimersByTime(1_000);
  expect(vi.getTimerCount()).toBe(1);
  queue.destroy();
});

test('patched, an idle connection has no timer', () => {
  const Class = freshClass();
  patchKafkajsTimerLoop(require);
  const queue = open(Class);
  exchange(queue, 1);
  expect(vi.getTimerCount()).toBe(0);
});

test('patched, a throttled request is sent when the throttle ends, and then there is no timer', () => {
  const Class = freshClass();
  patchKafkajsTimerLoop(require);
  const queue = open(Class);
  const sent = vi.fn();
  queue.maybeThrottle(500);
  queue.push({ entry: entry(1), expectResponse: true, sendRequest: sent });
  vi.advanceTimersByTime(490);
  expect(sent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(20);
  expect(sent).toHaveBeenCalledTimes(1);
  queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test('patched, a request behind the in-flight limit is sent when the one before is answered', () => {
  const Class = freshClass();
  patchKafkajsTimerLoop(require);
  const queue = open(Class, 1);
  const sent = vi.fn();
  queue.push({ entry: entry(1), expectResponse: true, sendRequest: () => undefined });
  queue.push({ entry: entry(2), expectResponse: true, sendRequest: sent });
  expect(sent).not.toHaveBeenCalled();
  queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 });
  expect(sent).toHaveBeenCalledTimes(1);
  queue.fulfillRequest({ correlationId: 2, payload: Buffer.alloc(0), size: 0 });
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(0);
});

test('another kafkajs is refused', () => {
  const other = ((id: string) => (id === 'kafkajs/package.json' ? { version: '2.3.0' } : (require(id) as unknown))) as NodeJS.Require;
  expect(() => patchKafkajsTimerLoop(other)).toThrow(/kafkajs 2\.3\.0 is installed/);
});
