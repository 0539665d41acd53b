/** The very lock Prisma's own `migrate deploy` takes, so that the two never run at once. */
export const MIGRATION_LOCK = 72_707_369;

export const TRY_LOCK = 'SELECT pg_try_advisory_lock($1) AS locked';
export const LOCK = 'SELECT pg_advisory_lock($1)';
export const UNLOCK = 'SELECT pg_advisory_unlock($1)';

export const TABLE_EXISTS = `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS "exists"`;

/** Word for word what Prisma's schema engine creates, so that its tools understand this database. */
export const CREATE_TABLE = `
CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)`;

/** Rolled back ones are history: Prisma's `migrate resolve` marked them. */
export const APPLIED = `
SELECT migration_name AS name, checksum, started_at AS "startedAt", finished_at AS "finishedAt"
  FROM _prisma_migrations
 WHERE rolled_back_at IS NULL
 ORDER BY migration_name, started_at`;

/** Started and finished by the wall clock: now() would be the transaction's start for both. */
export const RECORD = `
INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
VALUES (gen_random_uuid()::text, $1, $2, now(), clock_timestamp(), 1)`;
