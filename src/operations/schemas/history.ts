import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LATEST, RECORD_NAMES, RECORDS, type RecordName } from '../../contract/index.ts';
import { BrxError, messageOf } from '../../errors.ts';

export interface SchemaVersion {
  version: number;
  /** Parsed JSON. */
  schema: unknown;
}

export interface RecordHistory {
  record: RecordName;
  /** Full name; also the subject in the registry. */
  fullName: string;
  /** Oldest first, without gaps, at least one. */
  versions: SchemaVersion[];
}

/** schemas/ beside package.json, from src/operations/schemas as from dist/src/operations/schemas. */
export const SCHEMAS_FOLDER = fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../../../schemas' : '../../../schemas', import.meta.url));

/** Every committed version of every record. Throws BRX_BAD_FILE that lists everything wrong with the folder. */
export async function readHistory(folder: string): Promise<RecordHistory[]> {
  const problems: string[] = [];
  const histories: RecordHistory[] = [];
  for (const record of RECORD_NAMES) {
    const { fullName } = RECORDS[record];
    const versions = await readVersions(join(folder, fullName), fullName, problems);
    histories.push({ record, fullName, versions });
  }
  const known = new Set<string>(histories.map((history) => history.fullName));
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory() && !known.has(entry.name)) problems.push(`${entry.name}/ is no record of the contract (src/contract/records.ts)`);
  }
  if (problems.length > 0) throw new BrxError('BRX_BAD_FILE', `${folder}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return histories;
}

async function readVersions(folder: string, fullName: string, problems: string[]): Promise<SchemaVersion[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch {
    problems.push(`${fullName}/ is missing: every record of the contract has one`);
    return [];
  }
  const versions: SchemaVersion[] = [];
  for (const name of names) {
    const version = Number(/^v([1-9]\d*)\.avsc$/.exec(name)?.[1]);
    if (Number.isNaN(version)) {
      problems.push(`${fullName}/${name} is not named v<number>.avsc`);
      continue;
    }
    try {
      const schema = JSON.parse(await readFile(join(folder, name), 'utf8')) as { namespace?: unknown; name?: unknown };
      if (`${String(schema.namespace)}.${String(schema.name)}` !== fullName) problems.push(`${fullName}/${name} describes ${String(schema.namespace)}.${String(schema.name)}`);
      else versions.push({ version, schema });
    } catch (error) {
      problems.push(`${fullName}/${name} is not JSON: ${messageOf(error)}`);
    }
  }
  versions.sort((a, b) => a.version - b.version);
  const gap = versions.findIndex(({ version }, index) => version !== index + 1);
  if (gap >= 0) problems.push(`${fullName}/v${gap + 1}.avsc is missing: versions count from 1 and none is ever deleted`);
  if (names.length === 0) problems.push(`${fullName}/ is empty`);
  return versions;
}

/** Records whose newest file is not what this build reads and writes. */
export function staleRecords(histories: readonly RecordHistory[]): RecordName[] {
  return histories.filter(({ record, versions }) => JSON.stringify(versions.at(-1)?.schema) !== JSON.stringify(LATEST[record].avro)).map(({ record }) => record);
}
