import { explain, RECORDS, recordNamed, validateInventoryChanged, type RecordName, type RecordOf } from '../contract/index.ts';
import { messageOf } from '../errors.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import type { Codec } from '../platform/kafka/index.ts';
import type { DeadLetterReason, Entry } from './record.ts';

const MAGIC_BYTE = 0;
const HEADER_BYTES = 5;

/**
 * Turns Kafka records into records of the contract, outside any transaction. The registry is asked once a schema id; when it does
 * not answer, that is infrastructure (BRX_REGISTRY_UNAVAILABLE is thrown, the caller waits) and never the record's fault.
 */
export class Decoder<Name extends RecordName> {
  readonly #codec: Codec;
  readonly #accepted: ReadonlySet<RecordName>;

  /** `accepted`: what the reader handles; every other record is a dead letter of an unknown type. */
  constructor(codec: Codec, accepted: readonly Name[]) {
    this.#codec = codec;
    this.#accepted = new Set<RecordName>(accepted);
  }

  async decode(records: readonly SourceRecord[]): Promise<Entry<Name>[]> {
    for (const id of schemaIds(records)) await this.#codec.prepare(id);
    return records.map((record) => this.#decodeOne(record));
  }

  #decodeOne(record: SourceRecord): Entry<Name> {
    const { value } = record;
    const dead = (reason: DeadLetterReason, detail: string, userId: string | null = null, eventId: string | null = null): Entry<Name> => ({
      kind: 'dead',
      source: record,
      reason,
      detail,
      userId,
      eventId,
    });

    if (value === null) return dead('undecodable', 'the record has no value (a tombstone has no meaning here)');
    const id = schemaIdOf(value);
    if (id === undefined) {
      return dead('undecodable', `not Confluent wire format: ${value.length} bytes, starting with 0x${value.subarray(0, 8).toString('hex')}`);
    }
    const reader = this.#codec.reader(id);
    if (reader === undefined) return dead('unknown_type', `schema ${id} is not in the registry`);
    const type = recordNamed(reader.recordName);
    if (type === undefined || !this.#accepted.has(type)) return dead('unknown_type', `this version does not handle ${reader.recordName} (schema ${id})`);

    let decoded: unknown;
    try {
      decoded = reader.read(value);
    } catch (error) {
      // The only catch that turns an exception into a value: avsc reports bytes that do not fit by throwing.
      return dead('undecodable', `does not fit schema ${id} (${reader.recordName}): ${messageOf(error)}`);
    }
    const checked = validate(type, decoded);
    if (!checked.ok) return dead('invalid', checked.detail);
    const { event } = checked;
    if (record.key === null || record.key.toString('utf8') !== event.user_id) {
      return dead('key_mismatch', `key ${keyText(record.key)} is not the user_id ${event.user_id}`, event.user_id, event.event_id);
    }
    // TypeScript cannot tie the name to the value it names; `validate` has.
    return { kind: 'event', type, source: record, event } as Entry<Name>;
  }
}

/** The record that comes by the ten thousand has an acceptor of its own; the others are few enough for zod. */
function validate(type: RecordName, value: unknown): { ok: true; event: RecordOf<RecordName> } | { ok: false; detail: string } {
  if (type === 'InventoryChanged') return validateInventoryChanged(value);
  const result = RECORDS[type].schema.safeParse(value);
  return result.success ? { ok: true, event: result.data } : { ok: false, detail: explain(result.error) };
}

export function schemaIdOf(value: Buffer): number | undefined {
  return value.length >= HEADER_BYTES && value[0] === MAGIC_BYTE ? value.readInt32BE(1) : undefined;
}

/** Each schema id once. Nearly always there is one, in a run: only a change of id costs anything. */
function schemaIds(records: readonly SourceRecord[]): Set<number> {
  const ids = new Set<number>();
  let last: number | undefined;
  for (const record of records) {
    const id = record.value === null ? undefined : schemaIdOf(record.value);
    if (id === undefined || id === last) continue;
    ids.add(id);
    last = id;
  }
  return ids;
}

function keyText(key: Buffer | null): string {
  if (key === null) return '(none)';
  const text = key.toString('utf8').slice(0, 80);
  // oxlint-disable-next-line no-control-regex -- control characters of a stranger's key do not belong in a text column or a terminal
  return `"${text.replace(/[\u0000-\u001f\u007f]/g, '?')}"`;
}
