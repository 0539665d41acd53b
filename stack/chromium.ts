import { installMissing } from './install.ts';
import type { Report } from './model.ts';
import type { StackSettings } from './settings.ts';
import { onPath, searchPath } from './tools.ts';

/** Debian's chromium, for the tests of the console only; installed like the stack's pieces are. Throws BRX_STACK with what to do where it is not to be had. */
export async function findChromium(settings: StackSettings, report: Report): Promise<string> {
  const look = (): string | undefined => onPath(searchPath(settings.environment), 'chromium') ?? onPath(searchPath(settings.environment), 'google-chrome');
  const there = look();
  if (there !== undefined) return there;
  const missing = [{ what: 'Chromium, in which the console is tested', packages: ['chromium'] }];
  await installMissing(settings, missing, report);
  const installed = look();
  if (installed === undefined) throw new Error('the package chromium has no program of that name');
  return installed;
}
