import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LANES, laneOf, murmur2, murmur2OfBytes, partitionOf } from '../../src/contract/index.ts';

/** Protects: a user is where a Java producer puts them, and every process computes the same lane. */
const murmur2OfKafkajs = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2.js') as (key: string) => number;

test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2(%j) is what Kafka’s own UtilsTest says', (text, hash) => {
  expect(murmur2(text)).toBe(hash);
});

describe('random keys', () => {
  const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
  test(`text of any kind hashes as in kafkajs and as its UTF-8 bytes (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (key) => {
        expect(murmur2(key)).toBe(murmur2OfKafkajs(key));
        expect(murmur2OfBytes(Buffer.from(key, 'utf8'))).toBe(murmur2(key));
      }),
      { numRuns: 5_000, seed },
    );
  });

  test(`user ids get a lane and a partition in range (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.uuid(), fc.integer({ min: 1, max: 500 }), (userId, partitions) => {
        expect(partitionOf(userId, partitions)).toBe((murmur2OfKafkajs(userId) & 0x7fffffff) % partitions);
        expect(laneOf(userId)).toBe((murmur2OfKafkajs(userId) & 0x7fffffff) % LANES);
      }),
      { numRuns: 5_000, seed },
    );
  });
});
