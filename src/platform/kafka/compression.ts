import * as zlib from 'node:zlib';
import { promisify } from 'node:util';
import { CompressionTypes } from 'kafkajs';
import { BrxError } from '../../errors.ts';
import { decompressLz4 } from './lz4.ts';
import { decompressSnappy } from './snappy.ts';

/**
 * Whatever codec a producer picks, the consumer must read it: kafkajs knows gzip alone and dies for good on any other
 * (kafka-consumers.md section 1.7). Snappy and LZ4 are decoded here in plain JavaScript (the npm packages are unmaintained, one
 * starts worker threads), zstd by Node itself from 22.15 on. We write gzip or nothing, so there is no compressor.
 */
interface KafkajsCodec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

const readOnly = (name: string, decompress: (buffer: Buffer) => Buffer | Promise<Buffer>): (() => KafkajsCodec) => {
  const codec: KafkajsCodec = {
    compress: () => Promise.reject(new BrxError('BRX_INTERNAL', `BRX Sync does not write ${name}: use gzip or no compression`)),
    decompress: async (buffer) => decompress(buffer),
  };
  return () => codec;
};

type Zstd = { zstdDecompress?: (buffer: Buffer, callback: (error: Error | null, result: Buffer) => void) => void };

async function decompressZstd(buffer: Buffer): Promise<Buffer> {
  const { zstdDecompress } = zlib as Zstd;
  if (zstdDecompress === undefined) {
    const error = new BrxError('BRX_KAFKA_FATAL', `a producer sent a batch compressed with zstd, which Node ${process.versions.node} cannot read`, {
      remedy: 'run BRX Sync on Node 22.15 or newer (the container image does), or have the producer use gzip, snappy or lz4',
    });
    // kafkajs's own word: without it the batch is fetched again for a minute, and then the consumer restarted to do the same.
    throw Object.assign(error, { retriable: false });
  }
  return promisify(zstdDecompress)(buffer);
}

export function registerCodecs(codecs: Record<number, unknown>): void {
  codecs[CompressionTypes.Snappy] = readOnly('snappy', decompressSnappy);
  codecs[CompressionTypes.LZ4] = readOnly('lz4', decompressLz4);
  codecs[CompressionTypes.ZSTD] = readOnly('zstd', decompressZstd);
}
