import { expect, test } from 'vitest';
import { Progress } from '../../src/platform/consumer/progress.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: liveness sees a loop that hangs, and does not take a long backlog or an empty topic for one. */
test('a loop without work that beats is alive', async () => {
  const clock = fakeClock();
  const progress = new Progress(clock);
  await clock.advance(5_000);
  expect(progress.stillFor()).toBe(5_000);
  progress.beat();
  expect(progress.stillFor()).toBe(0);
});

test('a batch at work must get on: heartbeats of the loop do not help a chunk that hangs', async () => {
  const clock = fakeClock();
  const progress = new Progress(clock);
  const batch = progress.begin();
  await clock.advance(60_000);
  progress.beat();
  expect(progress.stillFor()).toBe(60_000);
  batch.step();
  expect(progress.stillFor()).toBe(0);
});

test('of several batches the slowest counts', async () => {
  const clock = fakeClock();
  const progress = new Progress(clock);
  const [hanging, moving] = [progress.begin(), progress.begin()];
  for (let n = 0; n < 10; n += 1) {
    await clock.advance(1_000);
    moving.step();
  }
  expect(progress.stillFor()).toBe(10_000);
  hanging.end();
  expect(progress.stillFor()).toBe(0);
  moving.end();
});

test('the end of the last batch is a beat, however long it took', async () => {
  const clock = fakeClock();
  const progress = new Progress(clock);
  const batch = progress.begin();
  await clock.advance(30_000);
  batch.end();
  expect(progress.stillFor()).toBe(0);
  await clock.advance(2_000);
  expect(progress.stillFor()).toBe(2_000);
});

test('a chunk that is tried in halves moves with each of them, and so do the batches that wait for it', async () => {
  const clock = fakeClock();
  const progress = new Progress(clock);
  const batches = [progress.begin(), progress.begin()];
  for (let n = 0; n < 11; n += 1) {
    await clock.advance(20_000);
    expect(progress.stillFor()).toBe(20_000);
    progress.tried();
    expect(progress.stillFor()).toBe(0);
  }
  for (const { end } of batches) end();
  progress.tried();
  await clock.advance(1_000);
  expect(progress.stillFor()).toBe(1_000);
});
