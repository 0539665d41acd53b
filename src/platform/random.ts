/**
 * Chance that can be repeated: sfc32 (Chris Doty-Humphrey's small fast counter, period >= 2^32, passes PractRand), seeded
 * through splitmix32 so that neighbouring seeds give unrelated streams. Not for secrets.
 */
export interface Random {
  /** Uniform over 0 .. 2^32-1. */
  uint32(): number;
  /** Uniform in [0, 1), 32 bits of it. */
  unit(): number;
  /** Uniform integer in [0, bound); `bound` at most 2^32. */
  below(bound: number): number;
  /** True with that probability. */
  chance(probability: number): boolean;
  bytes(length: number): Buffer;
  /** RFC 9562 version 7 with this millisecond as its time and 74 random bits. */
  uuidV7(milliseconds: number): string;
  /** RFC 9562 version 4. */
  uuidV4(): string;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const hex32 = (word: number): string => `${HEX[word >>> 24]}${HEX[(word >>> 16) & 0xff]}${HEX[(word >>> 8) & 0xff]}${HEX[word & 0xff]}`;
const hex16 = (word: number): string => `${HEX[(word >>> 8) & 0xff]}${HEX[word & 0xff]}`;

export function createRandom(seed: number): Random {
  let mix = seed | 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let word = mix ^ (mix >>> 16);
    word = Math.imul(word, 0x21f0aaad);
    word ^= word >>> 15;
    word = Math.imul(word, 0x735a2d97);
    return word ^ (word >>> 15);
  };
  // The part of the seed above 32 bits takes part too.
  mix ^= Math.floor(seed / 0x1_0000_0000) | 0;
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let counter = 1;

  const uint32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) uint32();

  const unit = (): number => uint32() / 0x1_0000_0000;
  return {
    uint32,
    unit,
    below: (bound) => Math.floor(unit() * bound),
    chance: (probability) => unit() < probability,
    bytes(length) {
      const bytes = Buffer.allocUnsafe(length);
      for (let index = 0; index < length; index += 1) bytes[index] = uint32() & 0xff;
      return bytes;
    },
    uuidV7(milliseconds) {
      const high = Math.floor(milliseconds / 0x1_0000);
      const word = uint32();
      const variant = hex32((uint32() & 0x3fffffff) | 0x80000000);
      return `${hex32(high)}-${hex16(milliseconds % 0x1_0000)}-7${hex16(word).slice(1)}-${variant.slice(0, 4)}-${variant.slice(4)}${hex32(uint32())}`;
    },
    uuidV4() {
      const head = hex32(uint32());
      const middle = hex32(uint32());
      const variant = hex32((uint32() & 0x3fffffff) | 0x80000000);
      return `${head}-${middle.slice(0, 4)}-4${middle.slice(5)}-${variant.slice(0, 4)}-${variant.slice(4)}${hex32(uint32())}`;
    },
  };
}
