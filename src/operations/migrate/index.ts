export { assertMigrated, migrate, migrationStatus, type MigrateOptions, type MigrateReport, type MigrationStatus } from './run.ts';
