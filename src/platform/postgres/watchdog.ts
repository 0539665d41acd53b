import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';

export interface WatchdogOptions {
  logger: Logger;
  clock: Clock;
  /** Longer than any statement may take: the server ends those itself. */
  silenceMs: number;
}

interface Watched {
  bytes: number;
  since: number;
}

/**
 * Cuts the connection of a backend that has gone silent. A frozen server (SIGSTOP, a lost virtual machine) sends no FIN and its
 * own timeouts do not fire; TCP keep-alive gives up after two hours. Only destroying the socket ends the wait
 * (write-path.md 8.3). Watches bytes, not queries, so that it costs nothing a statement.
 */
export function createWatchdog(pool: pg.Pool, { logger, clock, silenceMs }: WatchdogOptions): void {
  const watched = new Map<pg.PoolClient, Watched>();
  const check = (): void => {
    for (const [client, state] of watched) {
      const bytes = bytesOf(client);
      if (bytes !== state.bytes || !isBusy(client)) {
        watched.set(client, { bytes, since: clock.monotonic() });
      } else if (clock.monotonic() - state.since >= silenceMs) {
        logger.error({ silentMs: silenceMs }, 'PostgreSQL has not answered for longer than any statement may take; cutting the connection');
        watched.delete(client);
        client.connection.stream.destroy();
      }
    }
  };
  let timer: NodeJS.Timeout | undefined;
  pool.on('acquire', (client) => {
    watched.set(client, { bytes: bytesOf(client), since: clock.monotonic() });
    timer ??= setInterval(check, Math.min(1_000, silenceMs / 2)).unref();
  });
  const forget = (client: pg.PoolClient): void => {
    watched.delete(client);
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  pool.on('release', (_error, client) => forget(client));
  pool.on('remove', forget);
}

/** Outside of a statement silence is ours (work thinks, or a caller holds the client), and the server's timeout covers it. */
function isBusy(client: pg.PoolClient): boolean {
  return (client as pg.PoolClient & { readyForQuery?: boolean }).readyForQuery !== true;
}

function bytesOf(client: pg.PoolClient): number {
  const stream = client.connection.stream as typeof client.connection.stream & { bytesRead?: number; bytesWritten?: number };
  return (stream.bytesRead ?? 0) + (stream.bytesWritten ?? 0);
}
