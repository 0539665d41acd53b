import type pg from 'pg';
import { partitionOf, RECORDS, recordNamed, type InventorySnapshotChunk } from '../../contract/index.ts';
import { derivedUuid } from '../../platform/ids.ts';
import { withAdmin, type Codec } from '../../platform/kafka/index.ts';
import { schemaId, type RawRecord } from './decode.ts';
import type { Import } from './evidence.ts';
import type { Found } from './found.ts';
import { appliedChunks, buffersOf } from './imports.sql.ts';
import type { Change } from './rules.ts';
import { sortedJson, type TopicLog } from './topic-log.ts';
import { readTopic, topicExists, topicSpan, type Offsets, type TopicReader } from './topic.ts';

/** What the topic of snapshots says of the ledger's imports. */
export interface ReadImports {
  /** For the oracle: every row, those no chunk explains among them, on their own word. */
  readonly imports: readonly Import[];
  /** Of these the chunk is not on the topic any more. */
  readonly gone: number;
  /** Rows whose chunk must be on the topic, and is not. */
  readonly unexplained: readonly number[];
  /** Chunks that have come to more or fewer rows than they were counted to. */
  readonly short: readonly { readonly userId: string; readonly eventId: string; readonly expected: number; readonly found: number }[];
}

const NOTHING_SAID = { price_cents: null, currency: null, blueprint_id: null, properties: null, version: null } as const;

/**
 * Whether a product of a chunk was imported, and when, the ledger alone can say: that depends on clocks, on orders that were read and on what was under way. *What* an import said,
 * the chunk says: its row has an id that follows from job, export and product. The topic is read once and nothing of it is kept but what such a row came from.
 *
 * Ends are asked for after the snapshot of the database was taken: whatever was applied in it is below them.
 */
export async function readImports(client: pg.PoolClient, reader: TopicReader, log: TopicLog, found: Found): Promise<ReadImports> {
  const rows = [...found.imports];
  const sellers = new Set(rows.flatMap(([, { cause, item }]) => (cause === 'import' ? [log.items.text(item, 0)] : [])));
  const [chunks, buffers] = [await appliedChunks(client), await buffersOf(client, [...sellers])];
  const { starts, partitions, said, came } = sellers.size === 0 && chunks.size === 0 ? NOTHING_READ : await readChunks(reader, log, found);

  const unexplained: number[] = [];
  let gone = 0;
  const imports = rows.map(([row, { item, cause, quantity }]): Import => {
    const told = said.get(row);
    const user = log.items.text(item, 0);
    const own = { kind: 'SET', quantity, source: cause, ...NOTHING_SAID } as const;
    if (cause !== 'import') return { row, item, change: own, isWhole: true };
    if (told?.user === user) {
      const possible = [...(buffers.get(user) ?? [0])].map((buffer) => told.change.quantity + buffer);
      return { row, item, change: { ...told.change, quantity: possible.includes(quantity) ? quantity : (possible[0] ?? 0) }, isWhole: true };
    }
    const mayBeGone = partitions === 0 || (starts.get(partitionOf(user, partitions)) ?? 0) > 0;
    if (mayBeGone && told === undefined) gone += 1;
    else unexplained.push(row);
    return { row, item, change: own, isWhole: false };
  });
  const short = [...chunks].flatMap(([eventId, { userId, rows: expected }]) => {
    const there = came.get(eventId);
    return there === undefined || there === expected ? [] : [{ userId, eventId, expected, found: there }];
  });
  return { imports, gone, unexplained, short };
}

interface ReadChunks {
  readonly starts: Offsets;
  /** 0: there is no such topic. */
  readonly partitions: number;
  /** By ledger row. */
  readonly said: ReadonlyMap<number, { readonly user: string; readonly change: Change }>;
  /** Rows the ledger has of each chunk, by the chunk's event id. */
  readonly came: ReadonlyMap<string, number>;
}

const NOTHING_READ: ReadChunks = { starts: new Map(), partitions: 0, said: new Map(), came: new Map() };

async function readChunks(reader: TopicReader, log: TopicLog, found: Found): Promise<ReadChunks> {
  const span = await withAdmin(reader.kafka, async (admin) => ((await topicExists(admin, reader.topic)) ? topicSpan(admin, reader.topic) : undefined));
  if (span === undefined) return NOTHING_READ;
  const said = new Map<number, { user: string; change: Change }>();
  const came = new Map<string, number>();
  await readTopic(
    reader,
    span.ends,
    (record) => {
      const chunk = chunkIn(record, reader.codec);
      if (chunk === undefined || came.has(chunk.event_id)) return;
      let rows = 0;
      for (const product of chunk.products) {
        const row = log.events.find(derivedUuid(chunk.exported_at, `import/${chunk.job_id}/${product.id}`));
        if (row === -1 || !found.imports.has(row)) continue;
        rows += 1;
        said.set(row, { user: chunk.user_id, change: changeOf(product) });
      }
      came.set(chunk.event_id, rows);
    },
    span.starts,
  );
  return { starts: span.starts, partitions: span.ends.size, said, came };
}

function changeOf({ quantity, price_cents, currency, blueprint_id, properties }: InventorySnapshotChunk['products'][number]): Change {
  return { kind: 'SET', quantity, price_cents, currency, blueprint_id, properties: sortedJson(properties), version: null, source: 'import' };
}

/** What cannot be used is no import: the ingest role makes a dead letter of it. */
function chunkIn({ key, value }: RawRecord, codec: Pick<Codec, 'reader'>): InventorySnapshotChunk | undefined {
  const id = schemaId(value);
  const reader = id === undefined ? undefined : codec.reader(id);
  if (value === null || reader === undefined || recordNamed(reader.recordName) !== 'InventorySnapshotChunk') return undefined;
  let decoded: unknown;
  try {
    decoded = reader.read(value);
  } catch {
    return undefined;
  }
  const checked = RECORDS.InventorySnapshotChunk.schema.safeParse(decoded);
  return checked.success && key?.toString('latin1') === checked.data.user_id ? checked.data : undefined;
}
