import { describe, expect, test } from 'vitest';
import { Ahead } from '../../../src/marketplace/limiter/ahead.ts';
import { LEASE_MS } from '../../../src/marketplace/limiter/rules.ts';

/** Protects: a token that was taken ahead is used once and only while it is fresh, and whatever is not used can be given back. */
describe('tokens taken ahead', () => {
  test('are used one by one, while they are fresh', () => {
    const ahead = new Ahead();
    expect(ahead.use(0)).toBe(false);
    ahead.keep(3, 1_000, 77);
    expect([ahead.use(1_000), ahead.use(1_000 + LEASE_MS), ahead.use(1_001 + LEASE_MS)]).toEqual([true, true, false]);
    expect(ahead.leftOver()).toEqual({ stamp: 77, count: 1 });
  });

  test('are given back once', () => {
    const ahead = new Ahead();
    ahead.keep(2, 1_000, 77);
    expect(ahead.leftOver()).toEqual({ stamp: 77, count: 2 });
    expect(ahead.leftOver().count).toBe(0);
    expect(ahead.use(1_000)).toBe(false);
  });
});

describe('what is expected', () => {
  test('is what came in the last stretch, or in this one so far if that is more', () => {
    const ahead = new Ahead();
    expect(ahead.expected(0)).toBe(0);
    ahead.note(10, 4);
    expect(ahead.expected(20)).toBe(4);
    expect(ahead.expected(150)).toBe(4);
    ahead.note(160, 1);
    expect(ahead.expected(199)).toBe(4);
    expect(ahead.expected(210)).toBe(1);
    expect(ahead.expected(310)).toBe(0);
    ahead.note(10_000, 2);
    expect(ahead.expected(10_250)).toBe(0);
  });

  test('counts what was taken ahead and used', () => {
    const ahead = new Ahead();
    ahead.keep(3, 1_000, 1);
    ahead.use(1_000);
    ahead.use(1_001);
    expect(ahead.expected(1_100)).toBe(2);
  });
});

test('a seller is forgotten when nothing is left to give back, and nobody is expected', () => {
  const ahead = new Ahead();
  expect(ahead.isOver(0, 10_000)).toBe(true);
  ahead.note(50, 1);
  expect(ahead.isOver(60, 10_000)).toBe(false);
  expect(ahead.isOver(350, 10_000)).toBe(true);
  ahead.keep(2, 350, 7);
  expect(ahead.isOver(5_000, 10_000)).toBe(false);
  expect(ahead.isOver(10_351, 10_000)).toBe(true);
  ahead.leftOver();
  expect(ahead.isOver(600, 10_000)).toBe(true);
});
