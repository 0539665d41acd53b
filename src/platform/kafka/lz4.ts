/**
 * LZ4 frames as Kafka clients write them (lz4 frame format 1.6.x; blocks may refer to earlier ones). Checksums are skipped: Kafka's own
 * CRC already covers the batch. Every length is checked, so that damaged bytes throw a RangeError and never run away.
 */
const MAGIC = 0x184d2204;
const MAX_OUTPUT_BYTES = 128 * 1024 * 1024;
const UNCOMPRESSED = 0x80000000;

export function decompressLz4(input: Buffer): Buffer {
  const output = new Output();
  let position = 0;
  while (position < input.length) position = readFrame(input, position, output);
  return output.bytes();
}

function readFrame(input: Buffer, start: number, output: Output): number {
  if (input.readUInt32LE(start) !== MAGIC) throw new RangeError('lz4: not a frame');
  const flags = input.readUInt8(start + 4);
  if (flags >>> 6 !== 1) throw new RangeError('lz4: a frame version that is not 1');
  const has = (bit: number): boolean => (flags & (1 << bit)) !== 0;
  // magic 4, flags 1, block descriptor 1, content size 8 if said, dictionary id 4 if said, header checksum 1
  let position = start + 7 + (has(3) ? 8 : 0) + (has(0) ? 4 : 0);
  for (;;) {
    const word = input.readUInt32LE(position);
    position += 4;
    if (word === 0) break;
    const size = word >= UNCOMPRESSED ? word - UNCOMPRESSED : word;
    if (position + size > input.length) throw new RangeError('lz4: a block is cut short');
    const block = input.subarray(position, position + size);
    if (word >= UNCOMPRESSED) output.append(block);
    else readBlock(block, output);
    position += size + (has(4) ? 4 : 0);
  }
  return position + (has(2) ? 4 : 0);
}

function readBlock(block: Buffer, output: Output): void {
  let position = 0;
  const extended = (length: number): number => {
    if (length !== 15) return length;
    let total = length;
    for (let byte = 255; byte === 255; position += 1) {
      byte = block.readUInt8(position);
      total += byte;
    }
    return total;
  };
  while (position < block.length) {
    const token = block.readUInt8(position);
    position += 1;
    const literals = extended(token >>> 4);
    if (position + literals > block.length) throw new RangeError('lz4: a literal is cut short');
    output.append(block.subarray(position, position + literals));
    position += literals;
    if (position === block.length) return; // the last sequence has literals only
    const offset = block.readUInt16LE(position);
    position += 2;
    output.repeat(offset, extended(token & 15) + 4);
  }
}

/** Bytes that grow, and can repeat what they hold. */
class Output {
  #buffer = Buffer.allocUnsafe(256 * 1024);
  #length = 0;

  append(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#buffer, this.#length);
    this.#length += bytes.length;
  }

  repeat(offset: number, length: number): void {
    if (offset === 0 || offset > this.#length) throw new RangeError('lz4: a copy reaches outside of the data');
    this.#reserve(length);
    const buffer = this.#buffer;
    let at = this.#length;
    if (offset >= length) buffer.copyWithin(at, at - offset, at - offset + length);
    else for (const end = at + length; at < end; at += 1) buffer[at] = buffer[at - offset] ?? 0; // overlaps itself
    this.#length += length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    if (needed > MAX_OUTPUT_BYTES) throw new RangeError(`lz4: more than ${MAX_OUTPUT_BYTES} bytes`);
    const grown = Buffer.allocUnsafe(Math.min(MAX_OUTPUT_BYTES, Math.max(needed, this.#buffer.length * 2)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
