import type { Clock } from '../../platform/clock.ts';
import type { Redis, RedisServer } from '../../platform/redis/index.ts';
import { judgeClock } from './clock-skew.ts';
import { sayOf, type Finding } from './finding.ts';

const say = sayOf('redis');
const OLDEST = 5;
const FULL = 0.8;

export async function examineRedis(redis: Redis, clock: Clock): Promise<Finding[]> {
  const before = clock.now();
  const server = await redis.server();
  const after = clock.now();
  const { used, max } = await redis.serverConnections();
  return [...judgeRedis({ ...server, connections: used, maxConnections: max }), judgeClock(say, { before, server: server.nowMs, after })];
}

/** Redis holds counters of requests and copies of the catalogue, nothing that cannot be lost; yet what it forgets in the middle of a window is not counted. */
export function judgeRedis({ version, role, evicts, connections, maxConnections }: Omit<RedisServer, 'nowMs'> & { connections: number; maxConnections: number }): Finding[] {
  const found = `${connections} of ${maxConnections} connections are in use; a process takes up to 3`;
  return [
    Number.parseInt(version) >= OLDEST ? say.ok('version', version) : say.failure('version', `Redis ${version}`, `use ${OLDEST} or newer`),
    role === 'master' ? say.ok('primary', 'takes writes') : say.failure('primary', `it is a ${role}: it takes no writes, so nothing is counted`, 'point BRX_REDIS_URL at the primary'),
    evicts.startsWith('allkeys-')
      ? say.warning('eviction', `maxmemory-policy=${evicts}: when memory is short it drops the counters of the rate limit, and a seller may get a burst above it`, 'set maxmemory-policy=volatile-ttl or noeviction, or give BRX Sync a Redis of its own')
      : say.ok('eviction', `maxmemory-policy=${evicts}`),
    connections >= FULL * maxConnections ? say.warning('connections', found, 'raise maxclients, or see who is connected: redis-cli CLIENT LIST') : say.ok('connections', found),
  ];
}
