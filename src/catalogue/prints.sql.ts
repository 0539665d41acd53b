import { BrxError } from '../errors.ts';
import type { Row, RunStatement } from '../platform/mysql/index.ts';
import { PRINT_TABLES, type Print, type PrintTable } from './mapping.ts';

/**
 * Most ids of one look-up. From 1,000 on MariaDB turns an IN list into a temporary table (in_predicate_conversion_threshold), and joins that
 * instead of walking the index.
 */
export const MOST_IDS = 500;

const FIND_PRINTS = PRINT_TABLES.map((table) => `SELECT '${table}' AS print_table, id, cardtrader_id FROM ${table} WHERE cardtrader_id IN (?)`).join(' UNION ALL ');

/** All four tables in one round trip: the prints of each blueprint, none for one that has none. At most MOST_IDS ids. */
export async function findPrints(run: RunStatement, blueprintIds: readonly number[]): Promise<Map<number, Print[]>> {
  const prints = new Map<number, Print[]>(blueprintIds.map((id) => [id, []]));
  for (const row of await run(FIND_PRINTS, PRINT_TABLES.map(() => blueprintIds))) {
    prints.get(wholeNumber(row, 'cardtrader_id'))?.push({ table: row['print_table'] as PrintTable, id: wholeNumber(row, 'id') });
  }
  return prints;
}

const NEXT_IDS = `SELECT cardtrader_id FROM (${PRINT_TABLES.map((table) => `(SELECT cardtrader_id FROM ${table} WHERE cardtrader_id > ? ORDER BY cardtrader_id LIMIT ?)`).join(' UNION DISTINCT ')}) AS ids ORDER BY cardtrader_id LIMIT ?`;

/** The next `most` blueprint ids of the catalogue above `after`, ascending, each once. */
export async function nextBlueprintIds(run: RunStatement, after: number, most: number): Promise<number[]> {
  const rows = await run(NEXT_IDS, [...PRINT_TABLES.flatMap(() => [after, most]), most]);
  return rows.map((row) => wholeNumber(row, 'cardtrader_id'));
}

const COUNT_PRINTS = `SELECT ${PRINT_TABLES.map((table) => `(SELECT count(*) FROM ${table} WHERE cardtrader_id IS NOT NULL) AS ${table}`).join(', ')}`;

/** Rows of each table that name a blueprint. */
export async function countPrints(run: RunStatement): Promise<Record<PrintTable, number>> {
  const [row = {}] = await run(COUNT_PRINTS);
  return Object.fromEntries(PRINT_TABLES.map((table) => [table, wholeNumber(row, table)])) as Record<PrintTable, number>;
}

/** A number that is exact; drivers hand out large ones as text. */
function wholeNumber(row: Row, column: string): number {
  const value = Number(row[column]);
  if (!Number.isSafeInteger(value)) throw new BrxError('BRX_INTERNAL', `the catalogue's ${column} ${String(row[column])} is no whole number up to 2^53`);
  return value;
}
