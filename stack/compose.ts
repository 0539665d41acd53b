import { join } from 'node:path';
import { findCompose, noCompose } from './engine.ts';
import { PORT_VARIABLES, SERVICE_NAMES, containerUrls, type PortName, type Report, type StackUrls } from './model.ts';
import { waitForAll } from './probes.ts';
import { run } from './run.ts';
import type { Environment, StackSettings } from './settings.ts';

/** The stack as containers for people: docker-compose.yml, on the same ports as the native one. */

const READY_WITHIN_MS = 30_000;

export async function upCompose(settings: StackSettings, report: Report): Promise<StackUrls> {
  if ((await findCompose(settings)) === undefined) throw noCompose();
  report('docker compose up (the first time it also pulls images)');
  await compose(settings, ['up', '--detach', '--wait', '--wait-timeout', '180', ...SERVICE_NAMES], report);
  const urls = containerUrls(settings.ports);
  await waitForAll(urls, READY_WITHIN_MS);
  return urls;
}

/** Stops the containers; with `deleteData` their volumes go too. */
export async function downCompose(settings: StackSettings, report: Report, options: { deleteData: boolean }): Promise<void> {
  // Profiles too: `down` only sees services of profiles it is told about.
  await compose(settings, ['--profile', '*', 'down', '--remove-orphans', ...(options.deleteData ? ['--volumes'] : [])], report);
}

/** Names of our services whose containers run. Empty when there is no Compose. */
export async function composeRuns(settings: StackSettings): Promise<string[]> {
  if ((await findCompose(settings)) === undefined) return [];
  const output = await compose(settings, ['ps', '--services', '--status', 'running'], () => undefined);
  return output.split('\n').map((line) => line.trim()).filter((line) => SERVICE_NAMES.some((name) => name === line));
}

function compose(settings: StackSettings, args: readonly string[], report: Report): Promise<string> {
  const onLine = (line: string): void => report(`  ${line.trim()}`);
  return run('docker', ['compose', '--ansi', 'never', '--file', join(settings.root, 'docker-compose.yml'), ...args], { cwd: settings.root, environment: composeEnvironment(settings), onLine });
}

function composeEnvironment(settings: StackSettings): Environment {
  const ports = (Object.entries(PORT_VARIABLES) as [PortName, string][]).map(([name, variable]) => [variable, String(settings.ports[name])]);
  return { ...settings.environment, ...(Object.fromEntries(ports) as Record<string, string>) };
}
