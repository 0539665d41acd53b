import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { expect, test } from 'vitest';
import { registerCodecs } from '../../../src/platform/kafka/compression.ts';
import { decompressLz4 } from '../../../src/platform/kafka/lz4.ts';
import { decompressSnappy } from '../../../src/platform/kafka/snappy.ts';

/** Protects: whatever codec a producer picks, its batches are read, and damaged ones throw instead of running away. */
const compressed = JSON.parse(readFileSync(new URL('compressed.json', import.meta.url), 'utf8')) as Record<'lz4' | 'xerial' | 'snappy' | 'zstd', string>;
const bytes = (name: keyof typeof compressed): Buffer => Buffer.from(compressed[name], 'base64');
const plain = Array.from({ length: 40 }, (_, index) => `{"item":${index % 7},"kind":"SET","quantity":${(index * 37) % 30},"note":"${'a'.repeat(44)}"}`).join('');

const codecs: Record<number, () => { compress(encoder: { buffer: Buffer }): Promise<Buffer>; decompress(buffer: Buffer): Promise<Buffer> }> = {};
registerCodecs(codecs);

test.each([
  ['lz4 of Java', 3, 'lz4'],
  ['snappy of Java, in xerial frames', 2, 'xerial'],
  ['snappy of librdkafka, raw', 2, 'snappy'],
] as const)('%s is read', async (_name, type, fixture) => {
  expect((await codecs[type]!().decompress(bytes(fixture))).toString()).toBe(plain);
});

test('zstd is read where Node can, and named in the error where it cannot', async () => {
  const decoded = codecs[4]!().decompress(bytes('zstd'));
  if ('zstdDecompress' in zlib) expect((await decoded).toString()).toBe(plain);
  else await expect(decoded).rejects.toMatchObject({ code: 'BRX_KAFKA_FATAL', message: expect.stringContaining('zstd') as string, remedy: expect.stringContaining('Node 22.15') as string });
});

test('BRX Sync itself does not write these codecs', async () => {
  await expect(codecs[3]!().compress({ buffer: Buffer.alloc(1) })).rejects.toMatchObject({ code: 'BRX_INTERNAL' });
});

test.each([
  ['lz4', decompressLz4],
  ['xerial', decompressSnappy],
  ['snappy', decompressSnappy],
] as const)('damaged %s throws a RangeError or gives other bytes, soon', (name, decompress) => {
  const good = bytes(name);
  for (let length = 1; length < good.length; length += 1) {
    try {
      expect(decompress(good.subarray(0, length)).toString()).not.toBe(plain);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
  for (let index = 0; index < good.length; index += 1) {
    const damaged = Buffer.from(good);
    damaged[index] = (damaged[index] ?? 0) ^ 0xff;
    try {
      decompress(damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
});

test('a few bytes cannot ask for gigabytes', () => {
  const announced = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]); // snappy: 4 GB announced
  expect(() => decompressSnappy(announced)).toThrow(/are the most/);
});
