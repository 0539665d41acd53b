import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * What the benchmarks compare with are dependencies of theirs alone (bench/package.json) and have no place in the project's own
 * node_modules: they are installed when one is missing, and loaded from there.
 */
const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url)); // from dist/bench

export async function installDependencies(say: (line: string) => void): Promise<void> {
  const { dependencies } = JSON.parse(readFileSync(`${FOLDER}package.json`, 'utf8')) as { dependencies: Record<string, string> };
  if (Object.keys(dependencies).every((name) => existsSync(`${FOLDER}node_modules/${name}`))) return;
  say('npm ci --prefix bench');
  const child = spawn('npm', ['ci', '--ignore-scripts', '--prefix', FOLDER], { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`npm ci --prefix bench ended with ${code}`);
}

/** `name` may go into the package: `@dbos-inc/dbos-sdk/datasource`. */
export const loadDependency = <T>(name: string): T => createRequire(`${FOLDER}package.json`)(name) as T;
