import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { StackSettings } from './settings.ts';
import type { Report } from './model.ts';

/** The user a server runs as. PostgreSQL and MariaDB refuse root, so root runs them as someone without rights. */
export interface Owner {
  name: string;
  uid: number;
  gid: number;
}

/** The first of `names` that exists (then `nobody`) when we are root; undefined = our own user will do. */
export function unprivilegedOwner(settings: StackSettings, names: readonly string[]): Owner | undefined {
  if (!settings.isRoot) return undefined;
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  for (const name of [...names, 'nobody']) {
    const entry = passwd.find((fields) => fields[0] === name);
    if (entry !== undefined && entry[2] !== '0') return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return undefined;
}

/**
 * Makes `folder` a place `owner` can work in. Where the checkout is below a folder that user cannot pass (/root, say), the
 * data lives under /var/tmp and `folder` is a link to it. Returns the path that user can use, which is then not `folder`.
 */
export function makeHome(folder: string, owner: Owner | undefined, report: Report = () => undefined): string {
  if (owner === undefined) {
    mkdirSync(folder, { recursive: true });
    return folder;
  }
  const link = lstatSync(folder, { throwIfNoEntry: false });
  if (link?.isSymbolicLink() === true && !existsSync(folder)) rmSync(folder);
  if (!existsSync(folder)) {
    const barrier = closedAncestor(dirname(folder), owner);
    mkdirSync(dirname(folder), { recursive: true });
    if (barrier === undefined) {
      mkdirSync(folder);
    } else {
      const place = mkdtempSync('/var/tmp/brx-sync-');
      symlinkSync(place, folder);
      report(`user ${owner.name} cannot pass ${barrier}: the data of ${folder} is in ${place}`);
    }
  }
  chmodSync(folder, 0o755);
  chownSync(folder, owner.uid, owner.gid);
  return realpathSync(folder);
}

/** The nearest folder on the way to `path` that `owner` may not pass. */
export function closedAncestor(path: string, owner: Owner): string | undefined {
  for (let folder = path; ; folder = dirname(folder)) {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats !== undefined) {
      const bit = stats.uid === owner.uid ? 0o100 : stats.gid === owner.gid ? 0o010 : 0o001;
      if ((stats.mode & bit) === 0) return folder;
    }
    if (folder === dirname(folder)) return undefined;
  }
}

/** Removes `folder`, and what it links to if `makeHome` had put the data elsewhere. */
export function removeHome(folder: string): void {
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    const place = readlinkSync(folder);
    if (place.startsWith('/var/tmp/brx-sync-')) rmSync(place, { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
}
