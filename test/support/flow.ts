import { readConfig, type Role } from '../../src/config.ts';
import type { BrxError } from '../../src/errors.ts';
import { buildFlow, type Flow } from '../../src/flow.ts';
import { systemClock, type Clock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { startAll, stopAll } from '../../src/platform/service.ts';
import { openTracing } from '../../src/platform/tracing/index.ts';

/**
 * Roles of the program in this process, as flow.ts builds them: what a process of its own does, without the second of computing each of those
 * takes before it does anything. Whoever is killed, frozen or told to stop must be one (worker.ts); whoever goes on with its work need not.
 */
export interface RunningFlow {
  readonly flow: Flow;
  /** What would have ended the process. */
  readonly fatal: readonly BrxError[];
  stop(): Promise<void>;
}

export async function startFlow(environment: Readonly<Record<string, string>>, roles: readonly Role[], { clock = systemClock, onFatal = () => undefined }: { clock?: Clock; onFatal?: (error: BrxError) => void } = {}): Promise<RunningFlow> {
  const fatal: BrxError[] = [];
  const config = readConfig(environment);
  const tracing = await openTracing(config.tracing, { clock, logger: silentLogger });
  const flow = buildFlow(config, {
    roles,
    logger: silentLogger,
    clock,
    tracing,
    onFatal: (error) => {
      fatal.push(error);
      onFatal(error);
    },
  });
  await startAll(flow.services);
  return {
    flow,
    fatal,
    async stop() {
      await stopAll(flow.services);
      await flow.close();
      await tracing.close();
    },
  };
}
