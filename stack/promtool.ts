import { messageOf } from '../src/errors.ts';
import { installMissing } from './install.ts';
import type { Report } from './model.ts';
import type { StackSettings } from './settings.ts';
import { onPath, searchPath } from './tools.ts';

/**
 * Prometheus' own checker of rules. Where it is missing it is installed like the stack's pieces are (Debian, as root; nothing of the
 * package is started). Undefined if it is not to be had: that is no reason to fail, since no service needs it; `report` is told why.
 */
export async function findPromtool(settings: StackSettings, report: Report): Promise<string | undefined> {
  const look = (): string | undefined => onPath(searchPath(settings.environment), 'promtool');
  const there = look();
  if (there !== undefined) return there;
  try {
    await installMissing(settings, [{ what: 'promtool, which tests Prometheus rules', packages: ['prometheus'] }], report);
  } catch (error) {
    report(`promtool is not here and was not installed, so the rules of ops/prometheus are not run: ${messageOf(error)}`);
  }
  return look();
}
