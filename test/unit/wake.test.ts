import { expect, test } from 'vitest';
import { Wake } from '../../src/platform/wake.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: work that is announced is seen at once, also when it is announced in the moment nobody waits. */
const never = new AbortController().signal;

test('waits until the time is up, and says that nobody woke it', async () => {
  const clock = fakeClock();
  const waiting = new Wake(clock).wait(50, never);
  await clock.advance(50);
  expect(await waiting).toBe(false);
});

test('is woken while it waits', async () => {
  const clock = fakeClock();
  const wake = new Wake(clock);
  const waiting = wake.wait(50, never);
  wake.wake();
  expect(await waiting).toBe(true);
  expect(clock.sleeping).toBe(0);
});

test('what was said while nobody waited ends the next wait at once, and only that one', async () => {
  const clock = fakeClock();
  const wake = new Wake(clock);
  wake.wake();
  wake.wake();
  expect(await wake.wait(50, never)).toBe(true);
  expect(clock.sleeps).toEqual([]);
  const second = wake.wait(50, never);
  await clock.advance(50);
  expect(await second).toBe(false);
});

test('what was said before a look began ends no wait after it; what is said during the look does', async () => {
  const clock = fakeClock();
  const wake = new Wake(clock);
  wake.wake();
  wake.looking();
  const waiting = wake.wait(50, never);
  await clock.advance(50);
  expect(await waiting).toBe(false);
  wake.looking();
  wake.wake();
  expect(await wake.wait(50, never)).toBe(true);
});

test('a stop ends the wait, whether it comes before or during it, and leaves nothing at the signal', async () => {
  const clock = fakeClock();
  const wake = new Wake(clock);
  const stop = new AbortController();
  const waiting = wake.wait(50, stop.signal);
  stop.abort();
  expect(await waiting).toBe(false);
  expect(await wake.wait(50, stop.signal)).toBe(false);
  expect(clock.sleeping).toBe(0);
});
