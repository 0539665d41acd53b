import { expect, test } from 'vitest';
import { Turn } from '../../src/platform/turn.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: whoever only waits to ask gives its place to others, and whoever waits for an answer keeps it. */
test('a place is given up by who has waited long to ask, not by who is asking', async () => {
  const clock = fakeClock();
  const [waiting, asking] = [new Turn(clock), new Turn(clock)];
  await clock.advance(9_000);
  asking.sent();
  asking.sent();
  asking.answered();
  await clock.advance(60_000);
  asking.giveWay();
  expect(asking.isOver).toBe(false);
  asking.answered();
  asking.giveWay();
  expect(asking.isOver).toBe(false); // it may ask again
  waiting.giveWay();
  expect([waiting.isOver, waiting.until.aborted]).toEqual([true, true]);
  await clock.advance(10_001);
  asking.giveWay();
  expect(asking.isOver).toBe(true);
});

test('nobody who has just begun gives way', () => {
  const turn = new Turn(fakeClock());
  turn.giveWay();
  expect(turn.isOver).toBe(false);
  turn.end('test');
  expect(turn.isOver).toBe(true);
});
