import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort } from '../../src/platform/abort.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** Protects: thousands may wait for one signal, each is called once or not at all, and nothing of them stays behind. */
test('everyone who still waits is called once, by one listener', () => {
  const controller = new AbortController();
  let calls = 0;
  const count = (): void => void (calls += 1);
  const forget = Array.from({ length: 1_000 }, () => onAbort(controller.signal, count));
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  for (const each of forget.slice(0, 400)) each();
  controller.abort();
  controller.abort();
  expect(calls).toBe(600);
  for (const each of forget) each();
});

test('what one of them starts or takes back while it is called is no trouble', () => {
  const controller = new AbortController();
  const called: string[] = [];
  const forget = onAbort(controller.signal, () => called.push('never'));
  onAbort(controller.signal, () => called.push('second'));
  const signal = new AbortController();
  onAbort(signal.signal, () => {
    forget();
    controller.abort();
    called.push('first');
  });
  signal.abort();
  expect(called).toEqual(['second', 'first']);
});

test('thousands may sleep on one signal; each wakes once, by time or by it, and none stays behind', async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const short = Array.from({ length: 100 }, () => systemClock.sleep(1, controller.signal));
  const long = Array.from({ length: 1_000 }, () => systemClock.sleep(60_000, controller.signal));
  await Promise.all(short);
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  controller.abort(reason);
  expect(new Set((await Promise.allSettled(long)).map((result) => (result.status === 'rejected' ? (result.reason as unknown) : 'slept')))).toEqual(new Set([reason]));
  await expect(systemClock.sleep(1, controller.signal)).rejects.toBe(reason);
});
