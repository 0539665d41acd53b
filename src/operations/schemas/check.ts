import { LATEST } from '../../contract/index.ts';
import { incompatibilities } from './compatibility.ts';
import { readHistory, SCHEMAS_FOLDER, staleRecords, type RecordHistory } from './history.ts';

export interface Incompatibility {
  record: string;
  older: number;
  newer: number;
  problem: string;
}

export interface CheckReport {
  ok: boolean;
  records: { record: string; versions: number; newest: number }[];
  incompatible: Incompatibility[];
  /** Records whose newest file is not the one this build was made from. */
  stale: string[];
}

/** Every version against every older one (BACKWARD_TRANSITIVE: a replay reads events of any age). Needs no registry. */
export async function checkSchemas(folder: string = SCHEMAS_FOLDER): Promise<CheckReport & { histories: RecordHistory[] }> {
  const histories = await readHistory(folder);
  const incompatible = histories.flatMap(({ fullName, versions }) =>
    versions.flatMap((newer, index) =>
      // The oldest has nobody to be compared with but itself, which still says whether it is valid Avro.
      versions.slice(0, Math.max(index, 1)).flatMap((older) => incompatibilities(older.schema, newer.schema).map((problem) => ({ record: fullName, older: older.version, newer: newer.version, problem }))),
    ),
  );
  const stale = staleRecords(histories);
  const records = histories.map(({ record, fullName, versions }) => ({ record: fullName, versions: versions.length, newest: LATEST[record].version }));
  return { ok: incompatible.length === 0 && stale.length === 0, records, incompatible, stale, histories };
}
