import { isDeepStrictEqual } from 'node:util';
import { LATEST, RECORDS, type RecordName, type RecordOf } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { encode } from './codec.ts';
import type { Registry } from './registry.ts';

/** Writes records in wire format, under the ids the registry gave our newest schemas. */
export interface Encoder {
  /**
   * Asks the registry for the ids, once; after that it does nothing. Throws BRX_REGISTRY_UNAVAILABLE (try again later), and
   * BRX_REFUSED when a schema was never registered.
   */
  prepare(): Promise<void>;
  /** The record's bytes. Needs `prepare`. The value must have been made by us: it is not validated. */
  encode<Name extends RecordName>(record: Name, value: RecordOf<Name>): Buffer;
}

/** Asks as late as `prepare`: a role must be able to start while the registry is away. */
export function createEncoder(registry: Pick<Registry, 'versions'>, records: readonly RecordName[]): Encoder {
  const ids = new Map<RecordName, number>();
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    for (const record of records) {
      if (ids.has(record)) continue;
      // Ours and not the newest: a newer build may have registered one whose fields this one does not write.
      const ours = (await registry.versions(RECORDS[record].fullName)).findLast(({ schema }) => isDeepStrictEqual(schema, LATEST[record].avro));
      if (ours === undefined) throw new BrxError('BRX_REFUSED', `the schema of ${RECORDS[record].fullName} is not in the registry`, { remedy: 'run `brx-sync schemas apply`' });
      ids.set(record, ours.id);
    }
  }

  return {
    async prepare() {
      if (ids.size === records.length) return;
      asking ??= ask().finally(() => {
        asking = undefined;
      });
      await asking;
    },
    encode(record, value) {
      const id = ids.get(record);
      if (id === undefined) throw new BrxError('BRX_INTERNAL', `${record} is to be written before the registry was asked for its schema id`);
      return encode(record, id, value);
    },
  };
}
