import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BrxError } from '../../errors.ts';
import { splitStatements, type SqlStatement } from './split.ts';

export interface Migration {
  /** Folder name: a timestamp and a word, so that names sort by age. */
  name: string;
  /** SHA-256 of the file's bytes, as Prisma computes it. */
  checksum: string;
  sql: string;
  statements: readonly SqlStatement[];
}

/** `prisma/migrations` of the package this file belongs to: the checkout, `dist` in it, an installed package or an image. */
export function migrationsDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(directory, 'prisma', 'migrations');
    if (existsSync(join(directory, 'package.json')) && existsSync(candidate)) return candidate;
    const parent = dirname(directory);
    if (parent === directory) throw new BrxError('BRX_INTERNAL', 'this installation has no prisma/migrations folder next to its package.json', { remedy: 'install it again' });
    directory = parent;
  }
}

/** All migrations, oldest first. Throws BRX_MIGRATION for a file that cannot be run as one transaction. */
export function readMigrations(directory = migrationsDirectory()): Migration[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => readMigration(directory, name));
}

function readMigration(directory: string, name: string): Migration {
  if (!/^\d{14}_[a-z0-9_]+$/.test(name)) {
    throw new BrxError('BRX_MIGRATION', `${name} in ${directory} is no migration: its name must be a timestamp and a word, like 20260101120000_add_index`);
  }
  const file = join(directory, name, 'migration.sql');
  if (!existsSync(file)) throw new BrxError('BRX_MIGRATION', `migration ${name} has no migration.sql`);
  const bytes = readFileSync(file);
  const sql = bytes.toString('utf8');
  const statements = splitStatements(sql);
  const control = statements.find((statement) => /^(?:begin|start\s+transaction|commit|end|rollback|abort|prepare\s+transaction)\b/i.test(statement.sql));
  if (control !== undefined) {
    throw new BrxError('BRX_MIGRATION', `migration ${name}, line ${control.line}: ${firstLine(control.sql)} is not allowed`, {
      remedy: 'a migration runs in one transaction of the runner, so that a failed one leaves the database as it was; take the statement out',
    });
  }
  return { name, checksum: createHash('sha256').update(bytes).digest('hex'), sql, statements };
}

export const firstLine = (sql: string): string => sql.split('\n', 1)[0] ?? sql;
