/**
 * The few hot statements that are prepared once a connection. Prisma prepares nothing by itself; a name saves the server parsing
 * and planning. Names live as long as the connection and are never evicted, so only fixed texts get one.
 */
const names = new Map<string, string>();
const texts = new Map<string, string>();

/** Registers `sql` under `name` and returns `sql`, so that a *.sql.ts file names its text where it stands. */
export function nameStatement(sql: string, name: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) throw new TypeError(`statement name "${name}" must be lower-case snake_case of at most 63 characters`);
  const known = texts.get(name);
  if (known !== undefined && known !== sql) throw new TypeError(`two statements are named "${name}"`);
  const other = names.get(sql);
  if (other !== undefined && other !== name) throw new TypeError(`one statement is named "${other}" and "${name}"`);
  names.set(sql, name);
  texts.set(name, sql);
  return sql;
}

/** The name of a statement, or '' (pg's unnamed statement) for one that has none. */
export function statementName(sql: string): string {
  return names.get(sql) ?? '';
}
