import { describe, expect, test } from 'vitest';
import { durationOf, instantOf, offsetsOfFile, targetWords } from '../../../src/operations/replay/target.ts';

/** Protects: what an operator writes is what is meant, or is refused. */
test('a time needs its zone', () => {
  expect(instantOf('2026-11-23T18:00:00Z')).toBe(Date.UTC(2026, 10, 23, 18));
  expect(instantOf('2026-11-23 18:00+01:00')).toBe(Date.UTC(2026, 10, 23, 17));
  for (const text of ['2026-11-23T18:00:00', '2026-11-23', 'yesterday', '2026-13-40T18:00:00Z', '']) expect(instantOf(text), text).toBeUndefined();
});

test('a duration is in days, hours, minutes, seconds', () => {
  expect(durationOf('1d12h')).toBe(129_600_000);
  expect(durationOf('90m')).toBe(5_400_000);
  for (const text of ['2', '2 hours', '-1h', '']) expect(durationOf(text), text).toBeUndefined();
});

describe('a file of Kafka’s own tool', () => {
  const ours = { group: 'g', topic: 't' };

  test('of one group, of several, with other topics in it', () => {
    expect(offsetsOfFile('t,0,5\nt,11,0\n', ours)).toEqual({ to: 'file', offsets: new Map([[0, 5n], [11, 0n]]) });
    expect(offsetsOfFile('"g","t",0,5\r\n"h","t",1,9\n"g","other",2,2\n', ours)).toEqual({ to: 'file', offsets: new Map([[0, 5n]]) });
  });

  test.each([['t,0', /line 1/], ['t,0,5\nt,one,5', /line 2/], ['t,0,-1', /line 1/], ['other,0,5', /no offset of t/], ['h,t,0,5', /for group g/], ['', /no offset/]])('%j is refused', (text, message) => {
    expect(() => offsetsOfFile(text, ours)).toThrow(message);
  });
});

test('the record of a replay says where it went', () => {
  expect(targetWords({ to: 'shift', by: -5n })).toBe('back by 5');
  expect(targetWords({ to: 'time', at: 0 })).toBe('to 1970-01-01T00:00:00.000Z');
});
