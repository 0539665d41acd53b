import type { Config, Role } from './config.ts';
import { BrxError, messageOf } from './errors.ts';
import { buildFlow } from './flow.ts';
import { systemClock } from './platform/clock.ts';
import { armFault } from './platform/fault-points.ts';
import type { Logger } from './platform/log.ts';
import { startAll, stopAll } from './platform/service.ts';
import { openTracing } from './platform/tracing/index.ts';

/**
 * The process: start in order, run until a signal or a fatal error, stop in reverse within the deadline. Resolves to the exit
 * code; the caller exits with it.
 *
 *   starting ──► running ──(SIGTERM, SIGINT)──► stopping ──► 0
 *      │            └──────(fatal error)──────► stopping ──► the error's code
 *      └──(cannot start)──► the error's code        └──(deadline)──► 1
 */
export async function runProcess(config: Config, options: { roles: readonly Role[]; logger: Logger }): Promise<number> {
  const { logger } = options;
  armFault(config.fault);
  const end = endOfProcess(logger);
  const tracing = await openTracing(config.tracing, { clock: systemClock, logger });
  const flow = buildFlow(config, { ...options, clock: systemClock, tracing, onFatal: (error) => end.fatal(error) });
  try {
    await startAll(flow.services);
  } catch (error) {
    await flow.close();
    await tracing.close();
    throw error;
  }
  logger.info({ roles: options.roles }, 'running');
  const failure = await end.reached;
  flow.draining();

  const stopped = stopAll(flow.services).then(() => flow.close());
  const inTime = new AbortController();
  const late = systemClock.sleep(config.shutdownTimeoutMs, inTime.signal).then(() => {
    throw new BrxError('BRX_STOP_TIMEOUT', `not stopped within ${config.shutdownTimeoutMs} ms`, { remedy: 'nothing is lost: what was not committed is read again; raise BRX_SHUTDOWN_TIMEOUT_MS if this is usual' });
  });
  late.catch(() => undefined); // it loses the race, as a rule
  try {
    await Promise.race([stopped, late]);
    // Last, so that what the stop itself has done is told; that spans are not taken makes no stop late.
    await Promise.race([tracing.close(), late.catch(() => undefined)]);
  } catch (error) {
    // The first failure is the one to report; a stop that fails after it only adds to the log.
    if (failure === undefined) throw error;
    logger.error({ error: messageOf(error) }, 'the stop failed too');
  } finally {
    inTime.abort(new Error('stopped'));
  }
  if (failure !== undefined) throw failure;
  logger.info('stopped');
  return 0;
}

/** Resolves at the first signal (undefined) or fatal error; later ones are only logged. A second signal ends at once. */
function endOfProcess(logger: Logger): { reached: Promise<BrxError | undefined>; fatal: (error: BrxError) => void } {
  const { promise, resolve } = withResolvers<BrxError | undefined>();
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    logger.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once');
    if (signals > 1) process.exit(1);
    resolve(undefined);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    reached: promise,
    fatal: (error) => {
      logger.fatal({ code: error.code, error: error.message, ...(error.cause instanceof Error ? { cause: error.cause.stack } : {}) }, 'stopping: this cannot go on');
      resolve(error);
    },
  };
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
