/** Where a list goes on: the id of its last row, in a form nobody is tempted to make up. */
export const cursorOf = (id: string): string => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');

/** The id in a cursor; undefined for what is none. */
export function readCursor(cursor: string): string | undefined {
  const hex = Buffer.from(cursor, 'base64url').toString('hex');
  return hex.length === 32 && cursorOf(hex) === cursor ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : undefined;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Null: there are no more. */
  readonly next: string | null;
}

/** Of rows that were asked for with one more than `limit`; `cursorOfRow`: where a list goes on behind it. */
export function pageOf<Row>(rows: readonly Row[], limit: number, cursorOfRow: (row: Row) => string): Page<Row> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, next: rows.length > limit && last !== undefined ? cursorOfRow(last) : null };
}

/** Before every id. */
export const FIRST = '00000000-0000-0000-0000-000000000000';
