import { explain, LATEST, RECORDS, recordNamed, type RecordName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { derivedUuid } from '../../platform/ids.ts';
import { createEncoder, type Registry } from '../../platform/kafka/index.ts';
import { inspect, type DeadLetter } from '../../records/index.ts';
import { readEvidence } from './evidence.sql.ts';
import { planRedrive, readersOf, type Planned, type RedriveDeps } from './plan.ts';

/** What an operator wants changed. */
export interface Correction {
  /** The whole value, instead of what the record says. */
  readonly value?: unknown;
  /** Which record the value is of; what the record itself was when left out. */
  readonly record?: string;
  /** Single fields: a path like `quantity` or `lines.0.quantity`, and its value. */
  readonly set: readonly { readonly path: string; readonly value: unknown }[];
}

export interface Corrected {
  readonly planned: Planned;
  readonly record: RecordName;
  /** Null where the original cannot be read. */
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * A dead letter with a corrected payload: judged by the contract, written with the newest schema, keyed by its user. Nothing is sent yet.
 *
 * It keeps its event id. Only where the ledger has refused the event for what it says, and so knows the id, the corrected one gets an id that follows from
 * that: corrected twice, it is one event all the same.
 */
export async function correct(deps: RedriveDeps & { readonly registry: Registry }, letter: DeadLetter, correction: Correction, anyway: boolean): Promise<Corrected> {
  const readers = readersOf(deps.topicPrefix, letter.source.topic);
  if (readers === undefined) throw new BrxError('BRX_REFUSED', `nobody here reads topic ${letter.source.topic}`, { remedy: 'see whether BRX_TOPIC_PREFIX is right' });
  const original = await inspect(deps.codec, letter.source);
  const record = recordOf(correction.record ?? original.record, readers.records);
  if (correction.value === undefined && original.value === null) {
    throw new BrxError('BRX_REFUSED', `dead letter ${letter.id} cannot be read (${original.problem ?? ''}), so single fields of it cannot be set`, { remedy: 'give the whole record: --edit FILE --record NAME' });
  }
  const wanted = set(structuredClone(correction.value ?? original.value), correction.set);
  const checked = RECORDS[record].schema.safeParse(wanted);
  if (!checked.success) throw new BrxError('BRX_CONTRACT', `the corrected ${record} breaks the contract: ${explain(checked.error)}`, { remedy: '`brx-sync dlq show ID --value` prints what is there, docs/producers.md what a record may hold' });

  const event = checked.data as { event_id: string; user_id: string; occurred_at: number };
  const known = RECORDS[record].schema.shape.event_id.safeParse((original.value as { event_id?: unknown } | null)?.event_id);
  if (known.success && known.data !== event.event_id) throw new BrxError('BRX_REFUSED', `the corrected record has another event_id than the dead letter, ${known.data}`, { remedy: 'leave event_id as it is: by it the event is known again' });
  const [evidence] = await readEvidence(deps.postgres.prisma, [{ eventId: event.event_id, userId: event.user_id, itemId: null }]);
  const after = evidence?.outcome === 'd' ? { ...event, event_id: derivedUuid(event.occurred_at, `redrive/${event.event_id}`) } : event;

  const encoder = createEncoder(deps.registry, [record]);
  await encoder.prepare();
  const edited = { key: Buffer.from(after.user_id), value: encoder.encode(record, after as never) };
  const [planned] = await planRedrive(deps, [{ letter, edited }], { seen: new Set(), anyway });
  if (planned === undefined) throw new Error('a plan for one letter has one entry');
  return { planned, record, before: original.value, after };
}

function recordOf(name: string | null, allowed: readonly RecordName[]): RecordName {
  const record = name === null ? undefined : (recordNamed(name) ?? allowed.find((one) => one === name));
  if (record === undefined || !allowed.includes(record) || LATEST[record] === undefined) {
    throw new BrxError('BRX_USAGE', name === null ? 'the dead letter does not say which record it is' : `${name} is not read from this topic`, { remedy: `say what it is: --record with one of ${allowed.join(', ')}` });
  }
  return record;
}

/** Changes fields in place; a path that leads nowhere is an error, so that a typing mistake is not silently a new field. */
function set(value: unknown, fields: Correction['set']): unknown {
  for (const { path, value: wanted } of fields) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    let holder = value as Record<string, unknown> | null;
    for (const name of names) holder = typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name) ? (holder[name] as Record<string, unknown>) : null;
    if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, last)) throw new BrxError('BRX_USAGE', `the record has no field ${path}`, { remedy: '`brx-sync dlq show ID --value` prints its fields' });
    holder[last] = wanted;
  }
  return value;
}
