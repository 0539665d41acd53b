import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Owner } from './owner.ts';

/**
 * `home`/data, made by `initialise` the first time. It works in a folder of its own that becomes `data` when all is done, so a
 * half-made one can never be taken for whole, and an initialisation whose command was killed disturbs no later one.
 */
export async function initialisedData(home: string, owner: Owner | undefined, initialise: (folder: string) => Promise<void>): Promise<string> {
  removeLeftovers(home);
  const data = join(home, 'data');
  if (existsSync(data)) return data;
  const draft = join(home, `data.new-${process.pid}-${Date.now().toString(36)}`);
  mkdirSync(draft, { mode: 0o700 });
  if (owner !== undefined) chownSync(draft, owner.uid, owner.gid);
  await initialise(draft);
  renameSync(draft, data);
  return data;
}

function removeLeftovers(home: string): void {
  for (const name of readdirSync(home).filter((each) => each.startsWith('data.new-'))) {
    try {
      rmSync(join(home, name), { recursive: true, force: true });
    } catch {
      // an orphan still writes there: harmless, and gone at the next start
    }
  }
}
