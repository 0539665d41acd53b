import { createRedis } from '../../src/platform/redis/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { contestant } from './contestants.ts';
import type { Job, Sent } from './run.ts';

/** A process that sends: `job` on its command line; says `ready`, waits for `go` and `stop`, and then tells when it would have sent. */
const job = JSON.parse(process.argv[2] ?? '') as Job;
const redis = createRedis({ url: job.redisUrl, commandTimeoutMs: 1_000 }, { logger: silentLogger });
while (redis.state !== 'ready') await systemClock.sleep(5);
const take = contestant(job.contestant, redis, job.config);
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

const sent: Sent = { times: Object.fromEntries(job.sellers.map((seller) => [seller, []])), waitedMs: [] };
let running = true;
let flight = 0;
const told = new Promise<void>((resolve) => {
  process.stdin.on('data', (text: Buffer) => {
    if (text.toString().includes('go')) for (const seller of job.sellers) for (let n = 0; n < job.atOnce; n += 1) void send(seller);
    if (text.toString().includes('stop')) resolve();
  });
});
process.stdout.write('ready\n');
await told;
running = false;
process.stdout.write(`sent ${JSON.stringify(sent)}\n`); // it is read whole before this process is ended

async function send(seller: string): Promise<void> {
  flight += 1;
  while (running) {
    const asked = now();
    try {
      await take(seller);
    } catch {
      await systemClock.sleep(50); // the naive ones fail while Redis is away
      continue;
    }
    const at = now();
    sent.times[seller]?.push(at);
    if (sent.waitedMs.length < 200_000) sent.waitedMs.push(at - asked);
    if (job.callMs > 0) await systemClock.sleep(job.callMs * (0.8 + 0.4 * systemClock.random())); // else all sellers would wake together
    if (job.once) break;
  }
  flight -= 1;
  if (job.once && flight === 0) process.stdout.write('done\n');
}
