import { isDeepStrictEqual } from 'node:util';
import { RECORDS, type RecordName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { SUBJECT_COMPATIBILITY, type Registry } from '../../platform/kafka/index.ts';
import type { CheckReport } from './check.ts';
import { incompatibilities } from './compatibility.ts';
import type { RecordHistory } from './history.ts';

export interface SubjectFinding {
  record: RecordName;
  subject: string;
  /** Newest committed version. */
  newest: number;
  /** The id of the newest committed schema in the registry; null when it is not there. */
  id: number | null;
  registered: number;
  compatibility: string | null;
  verdict: 'missing' | 'registered' | 'outrun' | 'refuse';
  remarks: string[];
}

/**
 * The registry against the committed schemas. `outrun`: the registry has a newer version than this build knows (a newer build was
 * here), which is fine as long as it reads ours.
 */
export async function inspectSubjects(registry: Pick<Registry, 'versions' | 'compatibilityOf'>, histories: readonly RecordHistory[]): Promise<SubjectFinding[]> {
  const findings: SubjectFinding[] = [];
  for (const { record, fullName, versions } of histories) {
    const latest = versions.at(-1);
    if (latest === undefined) continue;
    const [registered, compatibility] = [await registry.versions(fullName), await registry.compatibilityOf(fullName)];
    const ours = registered.findLast(({ schema }) => isDeepStrictEqual(schema, latest.schema));
    const remarks: string[] = [];
    if (compatibility !== undefined && compatibility !== SUBJECT_COMPATIBILITY) {
      remarks.push(`has compatibility ${compatibility} in the registry, ${SUBJECT_COMPATIBILITY} is needed: without it a version could be added that cannot read what is still in the topics. Set it in the registry: PUT /config/${fullName} {"compatibility":"${SUBJECT_COMPATIBILITY}"}`);
    }
    if (ours === undefined) {
      // Someone may have registered a version that never was committed here; ours must read that too.
      for (const other of registered) for (const problem of incompatibilities(other.schema, latest.schema)) remarks.push(`v${latest.version} cannot read version ${other.version} (id ${other.id}) of the registry: ${problem}`);
    }
    const verdict = remarks.length > 0 ? 'refuse' : ours === undefined ? 'missing' : ours === registered.at(-1) ? 'registered' : 'outrun';
    findings.push({ record, subject: RECORDS[record].fullName, newest: latest.version, id: ours?.id ?? null, registered: registered.length, compatibility: compatibility ?? null, verdict, remarks });
  }
  return findings;
}

export interface SubjectResult extends SubjectFinding {
  added: boolean;
}

/**
 * Registers the newest version of every record; any number of times. If the schemas are not compatible with each other, or the registry
 * holds what they are not compatible with, nothing is registered and BRX_REFUSED says which record, version and field.
 */
export async function applySchemas(registry: Registry, check: CheckReport & { histories: RecordHistory[] }, options: { dryRun: boolean }): Promise<SubjectResult[]> {
  if (!check.ok) throw new BrxError('BRX_REFUSED', `the committed schemas do not pass the check, nothing was registered:\n${describeCheck(check).join('\n')}`, { remedy: 'see `brx-sync schemas check`' });
  const findings = await inspectSubjects(registry, check.histories);
  const refused = findings.flatMap(({ subject, remarks }) => remarks.map((remark) => `  ${subject} ${remark}`));
  if (refused.length > 0) throw new BrxError('BRX_REFUSED', `the registry does not go with the committed schemas, nothing was registered:\n${refused.join('\n')}`);
  const results: SubjectResult[] = [];
  for (const finding of findings) {
    const schema = check.histories.find((history) => history.record === finding.record)?.versions.at(-1)?.schema;
    if (finding.verdict !== 'missing' || options.dryRun) results.push({ ...finding, added: false });
    else results.push({ ...finding, id: await registry.register(finding.subject, schema), added: true });
  }
  return results;
}

/** What a failed check found, a line each. */
export function describeCheck({ incompatible, stale }: CheckReport): string[] {
  return [
    ...incompatible.map(({ record, older, newer, problem }) => `  ${record}: v${newer} cannot read v${older}: ${problem}`),
    ...stale.map((record) => `  ${record}: the newest file is not what this build was made from; run \`npx vitest run --project contract -u\` and build again`),
  ];
}
