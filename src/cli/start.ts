import type { Command } from 'commander';
import { ROLES, type Role } from '../config.ts';
import { createLogger } from '../platform/log.ts';
import { integerOption, listOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';

/** `brx-sync start`: the long-running process. */
export function registerStart(program: Command, context: CliContext): void {
  program
    .command('start')
    .description('run: consume events into PostgreSQL, and serve health and metrics')
    .option('--roles <list>', `what this process does, some of ${ROLES.join(', ')}`, listOption(ROLES), [...ROLES])
    .option('--port <number>', 'port of health and metrics, instead of BRX_HTTP_PORT; 0 picks a free one', integerOption(0, 65_535))
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync start', 'everything in one process'],
        ['brx-sync start --roles ingest', 'no HTTP; run as many as there are partitions'],
        ['brx-sync start --port 8081', 'a second one on the same machine'],
      ])}\n\nSIGTERM or Ctrl-C stops it after the chunk in hand, within BRX_SHUTDOWN_TIMEOUT_MS; a second one at once. Nothing is lost either way.`,
    )
    .action((options: { roles: Role[]; port?: number }) => run(context, options));
}

async function run(context: CliContext, options: { roles: Role[]; port?: number }): Promise<void> {
  const config = context.config();
  const { runProcess } = await import('../main.ts');
  const logger = createLogger(config.log, { pid: process.pid });
  const http = options.port === undefined ? config.http : { ...config.http, port: options.port };
  context.setExitCode(await runProcess({ ...config, http }, { roles: options.roles, logger }));
}
