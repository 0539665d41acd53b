import { BrxError } from '../../errors.ts';
import type { Migration } from './files.ts';

/** A row of `_prisma_migrations` that was not rolled back. */
export interface AppliedMigration {
  name: string;
  checksum: string;
  startedAt: Date;
  finishedAt: Date | null;
}

/**
 * What is left to apply, in order. Pure. Throws BRX_MIGRATION when database and files do not belong together:
 * each case would otherwise end in a database that no history of files describes.
 */
export function pendingMigrations(files: readonly Migration[], applied: readonly AppliedMigration[]): Migration[] {
  const byName = new Map(files.map((migration) => [migration.name, migration]));
  for (const row of applied) {
    if (row.finishedAt === null) {
      throw new BrxError('BRX_MIGRATION', `migration ${row.name} was started at ${row.startedAt.toISOString()} and never finished`, {
        remedy: 'another tool left it behind (this program applies a migration in one transaction): look at the database, then `npx prisma migrate resolve`',
      });
    }
    const file = byName.get(row.name);
    if (file === undefined) {
      throw new BrxError('BRX_MIGRATION', `the database has migration ${row.name}, which this version does not know: the database is newer than the program`, {
        remedy: 'run the version that applied it, or a later one',
      });
    }
    if (file.checksum !== row.checksum) {
      throw new BrxError('BRX_MIGRATION', `migration ${row.name} was changed after it had been applied (checksum ${row.checksum.slice(0, 8)}… then, ${file.checksum.slice(0, 8)}… now)`, {
        remedy: 'restore the file as it was and put the change into a new migration',
      });
    }
  }
  const done = new Set(applied.map((row) => row.name));
  const newest = [...done].sort().at(-1);
  const pending = files.filter((migration) => !done.has(migration.name));
  const late = newest === undefined ? undefined : pending.find((migration) => migration.name < newest);
  if (late !== undefined) {
    throw new BrxError('BRX_MIGRATION', `migration ${late.name} is not applied but ${newest}, which is newer, is`, {
      remedy: 'give it a name that sorts after every applied one: migrations run in the order of their names everywhere',
    });
  }
  return pending;
}
