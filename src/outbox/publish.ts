import { isRefusedByKafka, restoreHeaders, type OutgoingMessage } from '../platform/kafka/index.ts';
import type { OutboxRow } from './rows.sql.ts';

export interface Published {
  readonly rows: readonly OutboxRow[];
  /** Rows Kafka refuses for good. */
  readonly refused: readonly { readonly row: OutboxRow; readonly error: Error }[];
  /**
   * Size of the smallest request of several rows that was refused as a whole, as `bytesOf` counts; infinite where none was. Half of it is what a request may have from now on: the
   * largest that was accepted would be too much, because it may have been for many partitions, and the next one is for one.
   */
  readonly refusedBytes: number;
}

/**
 * Sends rows in order, in one request, and finds out which of them Kafka refuses: a refused request is halved, first half first,
 * until the refused row stands alone; rows of its user that come behind are left out, in their place in the outbox. Halving
 * repeats what a refused request had already brought into the log (of each partition all or nothing): copies, in the same order.
 *
 * Throws what `send` throws for every other reason; what was sent by then is sent again.
 */
export async function publishInOrder(rows: readonly OutboxRow[], send: (messages: readonly OutgoingMessage[]) => Promise<void>): Promise<Published> {
  if (rows.length === 0) return { rows: [], refused: [], refusedBytes: Infinity };
  try {
    await send(rows.map(message));
    return { rows, refused: [], refusedBytes: Infinity };
  } catch (error) {
    if (!isRefusedByKafka(error)) throw error;
    const [only] = rows;
    if (only !== undefined && rows.length === 1) return { rows: [], refused: [{ row: only, error: error as Error }], refusedBytes: Infinity };
  }
  const middle = rows.length >> 1;
  const first = await publishInOrder(rows.slice(0, middle), send);
  const blocked = new Set(first.refused.map(({ row }) => row.userId).filter((userId) => userId !== null));
  const second = await publishInOrder(rows.slice(middle).filter(({ userId }) => userId === null || !blocked.has(userId)), send);
  return { rows: [...first.rows, ...second.rows], refused: [...first.refused, ...second.refused], refusedBytes: Math.min(bytesOf(rows), first.refusedBytes, second.refusedBytes) };
}

/** The record as it goes to Kafka. kafkajs cannot write a header without a value: it goes out empty. */
function message(row: OutboxRow): OutgoingMessage {
  const headers = Object.entries(restoreHeaders(row.headers ?? [])).map(([name, value]) => [name, Array.isArray(value) ? value.map((one) => one ?? '') : (value ?? '')] as const);
  return {
    topic: row.topic,
    key: row.key,
    value: row.value,
    headers: Object.fromEntries(row.eventId === null ? headers : [...headers, ['brx-event-id', row.eventId] as const]),
    ...(row.partition === null ? {} : { partition: row.partition }),
  };
}

/** Most bytes of one request. Brokers refuse a record batch above 1 MB by default, and all of a request may be for one partition. */
export const REQUEST_BYTES = 700_000;
/** What a record takes beside key and value: headers and framing, generously. */
const RECORD_BYTES = 500;

/** Cut where a request would grow above `mostBytes`, in order; a row that is too large by itself goes alone. */
export function requests(rows: readonly OutboxRow[], mostBytes: number): OutboxRow[][] {
  const cut: OutboxRow[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const size = bytesOf([row]);
    bytes += size;
    if (bytes > mostBytes) {
      cut.push([]);
      bytes = size;
    }
    cut.at(-1)?.push(row);
  }
  return cut;
}

export function bytesOf(rows: readonly OutboxRow[]): number {
  return rows.reduce((sum, { key, value, headers }) => sum + RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + (headers?.reduce((size, [name, content]) => size + name.length + (content?.length ?? 0), 0) ?? 0), 0);
}
