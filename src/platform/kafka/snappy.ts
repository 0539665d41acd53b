/**
 * Snappy as Kafka clients write it: Java's in xerial frames, librdkafka's raw. Format: google/snappy format_description.txt.
 * Every length is checked against the input, so that damaged bytes throw a RangeError and never run away.
 */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
/** Larger than any batch a broker lets through uncompressed. */
const MAX_OUTPUT_BYTES = 128 * 1024 * 1024;

export function decompressSnappy(input: Buffer): Buffer {
  if (!input.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return decompressRaw(input);
  const parts: Buffer[] = [];
  let position = XERIAL_HEADER_BYTES;
  while (position < input.length) {
    const length = input.readUInt32BE(position);
    position += 4;
    if (position + length > input.length) throw new RangeError('snappy: a frame is cut short');
    parts.push(decompressRaw(input.subarray(position, position + length)));
    position += length;
  }
  return Buffer.concat(parts);
}

function decompressRaw(input: Buffer): Buffer {
  const [size, start] = varint(input);
  const output = Buffer.allocUnsafe(size);
  let read = start;
  let written = 0;
  const copy = (offset: number, length: number): void => {
    if (offset === 0 || offset > written || written + length > size) throw new RangeError('snappy: a copy reaches outside of the data');
    for (const end = written + length; written < end; written += 1) output[written] = output[written - offset] ?? 0; // may overlap itself
  };
  while (read < input.length) {
    const tag = input.readUInt8(read);
    read += 1;
    switch (tag & 3) {
      case 0: {
        let length = (tag >>> 2) + 1;
        if (length > 60) {
          const bytes = length - 60;
          length = input.readUIntLE(read, bytes) + 1;
          read += bytes;
        }
        if (read + length > input.length || written + length > size) throw new RangeError('snappy: a literal is cut short');
        input.copy(output, written, read, read + length);
        read += length;
        written += length;
        break;
      }
      case 1:
        copy(((tag >>> 5) << 8) | input.readUInt8(read), ((tag >>> 2) & 7) + 4);
        read += 1;
        break;
      case 2:
        copy(input.readUInt16LE(read), (tag >>> 2) + 1);
        read += 2;
        break;
      default:
        copy(input.readUInt32LE(read), (tag >>> 2) + 1);
        read += 4;
    }
  }
  if (written !== size) throw new RangeError('snappy: fewer bytes than announced');
  return output;
}

function varint(input: Buffer): [value: number, next: number] {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = input.readUInt8(index);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      if (value > MAX_OUTPUT_BYTES) throw new RangeError(`snappy: ${value} bytes announced, ${MAX_OUTPUT_BYTES} are the most`);
      return [value, index + 1];
    }
  }
  throw new RangeError('snappy: the length is not a number');
}
