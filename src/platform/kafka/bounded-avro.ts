import avsc from 'avsc';
import { BrxError } from '../../errors.ts';

/**
 * avsc trusts the entry counts of maps and arrays: fifteen bytes that announce 2^50 entries keep it busy for years (measured:
 * 38 ns an announced entry, none of them there), and one record would stop everyone. Here every count is checked against
 * the bytes that are left, and every entry for progress.
 */
interface Tap {
  pos: number;
  readonly buf: Buffer;
  readLong(): number;
  skipLong(): void;
  readString(): string;
  skipString(): void;
}
interface Readable {
  _read(tap: Tap): unknown;
  _skip(tap: Tap): void;
}
type MapLike = Readable & { valuesType: Readable };
type ArrayLike = Readable & { itemsType: Readable };

/** An avsc type of `schema` (parsed JSON). Throws what avsc throws for a schema it cannot read. */
export function boundedType(schema: unknown): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, { omitRecordMethods: true });
}

// avsc freezes its types, so the checks go into the two classes, for every type of this process. The names have stood since avsc 5.0;
// should a version change them, no type can be made and the test of this file says so too.
for (const [type, own] of [
  [avsc.types.MapType, { _read: readMap, _skip: skipMap }],
  [avsc.types.ArrayType, { _read: readArray, _skip: skipArray }],
] as const) {
  const prototype = type.prototype as Partial<Readable>;
  if (prototype._read === undefined || prototype._skip === undefined) throw new BrxError('BRX_INTERNAL', `this avsc has no ${type.name}._read: adapt src/platform/kafka/bounded-avro.ts`);
  Object.assign(prototype, own);
}

// avsc's resolvers take `_read` over from the type they read into, so `this` is either.
function readMap(this: MapLike, tap: Tap): unknown {
  const values: Record<string, unknown> = {};
  eachEntry(tap, () => {
    const key = tap.readString();
    // An assignment to it is silently lost, and what is lost silently is worse than a dead letter.
    if (key === '__proto__') throw new RangeError('a map has the key __proto__');
    values[key] = this.valuesType._read(tap);
  });
  return values;
}

function readArray(this: ArrayLike, tap: Tap): unknown {
  const items: unknown[] = [];
  eachEntry(tap, () => items.push(this.itemsType._read(tap)));
  return items;
}

function skipMap(this: MapLike, tap: Tap): void {
  eachEntry(tap, () => {
    tap.skipString();
    this.valuesType._skip(tap);
  });
}

function skipArray(this: ArrayLike, tap: Tap): void {
  eachEntry(tap, () => this.itemsType._skip(tap));
}

function eachEntry(tap: Tap, visit: () => void): void {
  for (;;) {
    let count = tap.readLong();
    if (count === 0) return;
    if (count < 0) {
      count = -count;
      tap.skipLong(); // the block's size in bytes
    }
    if (count > tap.buf.length - tap.pos) throw new RangeError(`${count} entries announced, ${Math.max(0, tap.buf.length - tap.pos)} bytes left`);
    for (; count > 0; count -= 1) {
      const before = tap.pos;
      visit();
      if (tap.pos <= before || tap.pos > tap.buf.length) throw new RangeError('an entry is cut short');
    }
  }
}
