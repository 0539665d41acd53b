import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { BrxError, messageOf } from '../src/errors.ts';
import { run } from './run.ts';
import { onPath, type MissingPiece } from './tools.ts';
import type { Report } from './model.ts';
import type { StackSettings } from './settings.ts';

/** All that is missing, in one message, with the one command that installs it. */
export function missingMessage(missing: readonly MissingPiece[], options: { debian: boolean; isRoot: boolean }): { message: string; remedy: string } {
  const message = `the native stack needs ${missing.length === 1 ? 'one more thing' : `${missing.length} more things`}:\n${missing.map(({ what }) => `  ${what}`).join('\n')}`;
  const packages = missing.flatMap((piece) => piece.packages.slice(0, 1));
  const hints = missing.flatMap(({ hint }) => (hint === undefined ? [] : [hint]));
  const command = options.debian
    ? `${options.isRoot ? '' : 'sudo '}apt-get install --no-install-recommends ${packages.join(' ')}`
    : 'install them with your package manager (on macOS: brew install openjdk maven postgresql mariadb redis)';
  return { message, remedy: [command, ...hints, 'or start a Docker engine, or give the URLs of services you already have (see stack/README.md)'].join('\n') };
}

/**
 * Installs what is missing from Debian's packages when we are root there; throws the message otherwise. Nothing that is
 * installed gets started, and PostgreSQL's package makes no cluster of its own.
 */
export async function installMissing(settings: StackSettings, missing: readonly MissingPiece[], report: Report): Promise<void> {
  const debian = onPath(['/usr/bin'], 'apt-get') !== undefined;
  const refuse = (cause?: unknown): never => {
    const { message, remedy } = missingMessage(missing, { debian, isRoot: settings.isRoot });
    throw new BrxError('BRX_STACK', cause === undefined ? message : `${message}\ninstalling them failed: ${messageOf(cause)}`, { remedy, cause });
  };
  if (!debian || !settings.isRoot) return refuse();
  const environment = { ...settings.environment, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    let packages = await choosePackages(missing);
    if (packages === undefined) {
      report('apt-get update');
      await run('apt-get', ['update', '-q'], { environment });
      packages = await choosePackages(missing);
    }
    if (packages === undefined) throw new Error(`the system's package lists have none of ${missing.flatMap((piece) => piece.packages).join(', ')}`);
    report(`apt-get install ${packages.join(' ')}`);
    const chosen = packages;
    await withNothingStarted(() => run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...chosen], { environment }));
  } catch (error) {
    refuse(error);
  }
}

/** For each piece the first package that can be installed; undefined if one piece has none. */
async function choosePackages(missing: readonly MissingPiece[]): Promise<string[] | undefined> {
  const chosen: string[] = [];
  for (const { packages } of missing) {
    let found: string | undefined;
    for (const name of packages) {
      const policy = await run('apt-cache', ['policy', name], { environment: { PATH: '/usr/bin:/bin', LANG: 'C' } });
      if (/Candidate: (?!\(none\))\S/.test(policy)) found ??= name;
    }
    if (found === undefined) return undefined;
    chosen.push(found);
  }
  return chosen;
}

/** Debian's own switches: policy-rc.d forbids packages to start services, createcluster.d forbids a default cluster. */
async function withNothingStarted<T>(action: () => Promise<T>): Promise<T> {
  const files: Record<string, string> = {
    '/usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
    '/etc/postgresql-common/createcluster.d/brx-sync-stack.conf': 'create_main_cluster = false\n',
  };
  const written = Object.keys(files).filter((file) => !existsSync(file));
  try {
    for (const file of written) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, files[file] ?? '');
      chmodSync(file, 0o755);
    }
    return await action();
  } finally {
    for (const file of written) rmSync(file, { force: true });
  }
}
