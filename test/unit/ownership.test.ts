import { expect, test } from 'vitest';
import { Ownership } from '../../src/platform/consumer/ownership.ts';

/** Protects: a handler that outlived a rejoin does not commit for a partition that somebody else owns by now. */
test('nothing is owned, and nothing joined, before the first assignment', () => {
  const ownership = new Ownership();
  expect(ownership).toMatchObject({ joined: false, assigned: [] });
  ownership.joinedWith({});
  expect(ownership).toMatchObject({ joined: true, assigned: [] });
});

test('work of this epoch may commit', () => {
  const ownership = new Ownership();
  ownership.joinedWith({ a: [0, 1] });
  expect(ownership.holds('a', 1, ownership.epoch)).toBe(true);
});

test('work of an epoch before may commit exactly when the rejoin left its partition here', () => {
  const ownership = new Ownership();
  ownership.joinedWith({ a: [0, 1] });
  const { epoch } = ownership;
  ownership.joinedWith({ a: [1, 2], b: [0] });
  expect(ownership.epoch).toBe(epoch + 1);
  expect(ownership.holds('a', 1, epoch)).toBe(true);
  expect(ownership.holds('a', 0, epoch)).toBe(false);
  expect(ownership.assigned).toEqual([{ topic: 'a', partition: 1 }, { topic: 'a', partition: 2 }, { topic: 'b', partition: 0 }]);
});
