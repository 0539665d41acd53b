/**
 * A dictionary from UUIDs (or pairs of them) to dense numbers 0, 1, 2, ... in typed arrays: about 24 bytes a UUID, where a
 * Map of strings takes 150. Open addressing, linear probing, at most half full.
 */
export interface UuidIndex {
  readonly size: number;
  /** The number of this key, a new one if it was not known. */
  add(uuid: string, second?: string): number;
  /** The number of this key, or -1. */
  find(uuid: string, second?: string): number;
  /** The `part`-th UUID of that number, lower case. */
  text(index: number, part?: 0 | 1): string;
}

const NIBBLE = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value += 1) {
  NIBBLE[value.toString(16).charCodeAt(0)] = value;
  NIBBLE[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

export function createUuidIndex(uuidsPerKey: 1 | 2): UuidIndex {
  const words = uuidsPerKey * 4;
  let keys = new Uint32Array(1_024 * words);
  let slots = new Int32Array(2_048).fill(-1);
  let size = 0;
  const probe = new Uint32Array(words);

  const load = (uuid: string, second: string | undefined): void => {
    parse(uuid, probe, 0);
    if (uuidsPerKey === 2) parse(second ?? '', probe, 4);
  };
  const hash = (from: Uint32Array, at: number): number => {
    let mixed = 0x811c9dc5;
    for (let word = 0; word < words; word += 1) {
      mixed = Math.imul(mixed ^ (from[at + word] ?? 0), 0x85ebca6b);
      mixed ^= mixed >>> 15;
    }
    return mixed >>> 0;
  };
  /** The slot that holds the key in `probe`, or the free one where it belongs. */
  const seek = (): number => {
    const mask = slots.length - 1;
    for (let slot = hash(probe, 0) & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot] ?? -1;
      if (index === -1) return slot;
      let word = 0;
      while (word < words && keys[index * words + word] === probe[word]) word += 1;
      if (word === words) return slot;
    }
  };
  const grow = (): void => {
    const larger = new Uint32Array(keys.length * 2);
    larger.set(keys);
    keys = larger;
    slots = new Int32Array(slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (let index = 0; index < size; index += 1) {
      let slot = hash(keys, index * words) & mask;
      while (slots[slot] !== -1) slot = (slot + 1) & mask;
      slots[slot] = index;
    }
  };

  return {
    get size() {
      return size;
    },
    add(uuid, second) {
      load(uuid, second);
      let slot = seek();
      const known = slots[slot] ?? -1;
      if (known !== -1) return known;
      if ((size + 1) * 2 > slots.length) {
        grow();
        slot = seek();
      }
      keys.set(probe, size * words);
      slots[slot] = size;
      size += 1;
      return size - 1;
    },
    find(uuid, second) {
      load(uuid, second);
      return slots[seek()] ?? -1;
    },
    text(index, part = 0) {
      const at = index * words + part * 4;
      const hex = [0, 1, 2, 3].map((word) => (keys[at + word] ?? 0).toString(16).padStart(8, '0')).join('');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}

function parse(uuid: string, into: Uint32Array, at: number): void {
  let digits = 0;
  let word = 0;
  for (let index = 0; index < uuid.length; index += 1) {
    const code = uuid.charCodeAt(index);
    if (code === 45) continue;
    const nibble = code < 128 ? (NIBBLE[code] ?? 255) : 255;
    if (nibble === 255) break;
    word = (word << 4) | nibble;
    digits += 1;
    if (digits % 8 === 0) into[at + digits / 8 - 1] = word;
    if (digits === 32 && index === uuid.length - 1) return;
  }
  throw new RangeError(`not a UUID: ${JSON.stringify(uuid.slice(0, 60))}`);
}
