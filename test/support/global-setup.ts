import type { TestProject } from 'vitest/node';
import { readSettings, resolveTestStack, sweepPrivate, type StackUrls } from '../../stack/index.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    stack: StackUrls;
  }
}

/**
 * One stack for the whole run, whichever projects take part: the first project to get here starts what is missing, the last
 * one to finish gives back what belongs to the run (containers). Native services stay, so that the next run starts at once.
 */
interface Shared {
  users: number;
  stack: ReturnType<typeof resolveTestStack>;
}

const KEY = Symbol.for('brx-sync.test-stack');
const shelf = globalThis as { [KEY]?: Shared | undefined };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (shelf[KEY] ??= { users: 0, stack: begin() });
  shared.users += 1;
  const { urls, release } = await shared.stack;
  project.provide('stack', urls);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    shelf[KEY] = undefined;
    await release();
  };
}

async function begin(): ReturnType<typeof resolveTestStack> {
  const settings = readSettings();
  await sweepPrivate(settings);
  return resolveTestStack({ settings, report: (line) => process.stderr.write(`stack: ${line}\n`) });
}
