import { mkdirSync } from 'node:fs';
import { Redis } from 'ioredis';
import { PORT_VARIABLES } from './model.ts';
import type { NativeService } from './instance.ts';

/** Redis without persistence: it is never the only copy of anything. */
export function redisService({ redisServer, port }: { redisServer: string; port: number }): NativeService {
  return {
    name: 'redis',
    title: 'Redis',
    address: `127.0.0.1:${port}`,
    ports: [{ port, variable: PORT_VARIABLES.redis, title: 'Redis' }],
    owner: undefined,
    stopSignal: 'SIGTERM',
    stopGraceMs: 10_000,
    prepare: async (home) => {
      mkdirSync(home, { recursive: true });
      const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', home, '--daemonize', 'no'];
      return { program: redisServer, args, cwd: home, environment: { LANG: 'C.UTF-8' } };
    },
    probe: () => probeRedis(`redis://127.0.0.1:${port}`),
  };
}

/** Resolves when it answers PING. */
export async function probeRedis(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: 2_000, commandTimeout: 3_000, maxRetriesPerRequest: 0, retryStrategy: () => null });
  let reason: Error | undefined; // what the rejected call below only calls "Connection is closed"
  client.on('error', (error: Error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    const answer: string = await client.ping();
    if (answer !== 'PONG') throw new Error(`Redis answered ${answer}`);
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}
