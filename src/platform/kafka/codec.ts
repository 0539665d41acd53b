import type avsc from 'avsc';
import { LATEST, RECORDS, RECORD_NAMES, recordNamed, type RecordName, type RecordOf } from '../../contract/index.ts';
import { messageOf } from '../../errors.ts';
import { systemClock, type Clock } from '../clock.ts';
import { boundedType } from './bounded-avro.ts';
import type { Registry, WriterSchema } from './registry.ts';

/** Confluent's wire format: a zero byte, the schema's id as a big-endian 32-bit number, the Avro bytes. */
export const MAGIC_BYTE = 0;
export const WIRE_HEADER_BYTES = 5;

const TYPES = Object.fromEntries(RECORD_NAMES.map((name) => [name, boundedType(LATEST[name].avro)])) as Record<RecordName, avsc.Type>;

/** Whether Avro's shape fits, and if not where; rules of the contract are zod's business. Fields the schema lacks do not fit. */
export function avroMisfits(record: RecordName, value: unknown): string[] {
  const paths: string[] = [];
  try {
    TYPES[record].isValid(value, { noUndeclaredFields: true, errorHook: (path: string[]) => void paths.push(path.join('.')) });
    return paths;
  } catch (error) {
    return [messageOf(error)]; // avsc does arithmetic on what should be a number, and a bigint or an odd object throws at that
  }
}

let scratch = Buffer.allocUnsafe(64 * 1024);

/** The record's bytes in wire format. Throws an Error of avsc for a value that has not the schema's shape: validate before. */
export function encode<Name extends RecordName>(record: Name, schemaId: number, value: RecordOf<Name>): Buffer {
  const end = TYPES[record].encode(value, scratch, WIRE_HEADER_BYTES);
  if (end < 0) {
    scratch = Buffer.allocUnsafe(scratch.length - end + WIRE_HEADER_BYTES); // avsc says by how much it was too small
    return encode(record, schemaId, value);
  }
  scratch[0] = MAGIC_BYTE;
  scratch.writeInt32BE(schemaId, 1);
  return Buffer.from(scratch.subarray(0, end));
}

/** Reads records of one schema id. */
export interface Reader {
  /** Full name of the record. For a schema this version cannot read, a description instead, which equals no record's name. */
  readonly recordName: string;
  /** The value in the newest schema's shape, from wire format (header included). Throws an Error for bytes that do not fit. */
  read(value: Buffer): unknown;
}

/** A reader of records written with `writer`, in the shape of our newest schema of that name. */
export function readerOf(writer: WriterSchema): Reader {
  if (writer.kind === 'foreign') return unreadable(writer.description);
  const record = recordNamed(writer.fullName);
  if (record === undefined) return unreadable(writer.fullName);
  const target = TYPES[record];
  let resolver: avsc.Resolver | undefined;
  try {
    const source = boundedType(writer.schema);
    resolver = source.equals(target) ? undefined : target.createResolver(source);
  } catch (error) {
    return unreadable(`${writer.fullName} as written with this schema (${messageOf(error)})`);
  }
  const name = RECORDS[record].fullName;
  return {
    recordName: name,
    read(value) {
      const decoded = target.decode(value, WIRE_HEADER_BYTES, resolver);
      if (decoded.offset < 0) throw new RangeError('the bytes end in the middle of the record');
      if (decoded.offset !== value.length) throw new RangeError(`${value.length - decoded.offset} bytes too many after the record`);
      return decoded.value as unknown;
    },
  };
}

function unreadable(recordName: string): Reader {
  return {
    recordName,
    read() {
      throw new TypeError(`this version cannot read ${recordName}`);
    },
  };
}

/** Decoding in two steps: `prepare` may ask the registry, `reader` never waits. */
export interface Codec {
  /** Throws BRX_REGISTRY_UNAVAILABLE when the id is not known here yet and the registry does not answer. */
  prepare(schemaId: number): Promise<void>;
  /** Undefined when the registry does not know the id (or `prepare` was never called for it). */
  reader(schemaId: number): Reader | undefined;
}

/** A producer may register its schema a moment after its first record, so that "unknown" is asked again soon. */
const UNKNOWN_FOR_MS = 5_000;
/** Garbage that happens to start with a zero byte names ids at random; they must not pile up. */
const UNKNOWN_MOST = 10_000;

export function createCodec(registry: Pick<Registry, 'schemaOf'>, clock: Pick<Clock, 'monotonic'> = systemClock): Codec {
  const readers = new Map<number, Reader>();
  const unknownUntil = new Map<number, number>();
  return {
    async prepare(schemaId) {
      if (readers.has(schemaId) || (unknownUntil.get(schemaId) ?? 0) > clock.monotonic()) return;
      const schema = await registry.schemaOf(schemaId);
      if (schema !== undefined) {
        unknownUntil.delete(schemaId);
        readers.set(schemaId, readerOf(schema));
        return;
      }
      if (unknownUntil.size >= UNKNOWN_MOST) unknownUntil.clear();
      unknownUntil.set(schemaId, clock.monotonic() + UNKNOWN_FOR_MS);
    },
    reader: (schemaId) => readers.get(schemaId),
  };
}
