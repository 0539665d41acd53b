import type { Command } from 'commander';
import { examples, type CliContext } from './context.ts';

/** `brx-sync migrate` and `brx-sync migrate status`. */
export function registerMigrate(program: Command, context: CliContext): void {
  const migrate = program
    .command('migrate')
    .description('bring the database to what this version needs; does nothing if it is')
    .option('--dry-run', 'list what would be applied, apply nothing')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync migrate', 'apply what is missing; several at once wait for each other'],
        ['brx-sync migrate --dry-run', 'say what that would be'],
        ['brx-sync migrate status', 'each migration and when it was applied'],
      ])}\n\nEach migration is one transaction: one that fails leaves the database as it was.`,
    )
    .action((options: { dryRun?: true }) => run(context, options.dryRun === true));
  migrate
    .command('status')
    .description('list the migrations and which are applied')
    .action(() => status(context));
}

async function run(context: CliContext, dryRun: boolean): Promise<void> {
  const { out, logger, signal } = context;
  const { migrate } = await import('../operations/migrate/index.ts');
  const onWaiting = (): void => out.note('another migration is running; waiting for it to end');
  const { applied, already } = await migrate(context.config().postgres.url, { logger, signal, dryRun, onWaiting });
  out.json({ dryRun, applied, already });
  for (const name of applied) out.line(`${dryRun ? 'would apply' : 'applied'} ${name}`);
  if (applied.length === 0) out.line(`the database is up to date (${already.length} migration${already.length === 1 ? '' : 's'})`);
}

async function status(context: CliContext): Promise<void> {
  const { out, logger } = context;
  const { migrationStatus } = await import('../operations/migrate/index.ts');
  const migrations = await migrationStatus(context.config().postgres.url, { logger });
  out.json(migrations);
  out.table(migrations.map(({ name, state, finishedAt }) => ({ migration: name, state, applied: finishedAt })));
}
