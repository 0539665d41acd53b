import type { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startPrivateRedis, type PrivateService } from '../../../stack/index.ts';
import { densest } from '../../support/densest.ts';
import { firing, instance, LIMITS, type Instance } from '../../support/limiter.ts';
import { observer } from '../../support/redis.ts';
import { startTcpGate } from '../../support/tcp-gate.ts';
import { processState, until } from '../../support/wait.ts';

/**
 * Protects: Redis away at the start, killed, frozen, restarted with and without its data, for a moment and for long: no window holds more than the limit, work
 * goes on at a share of it, each change is told once, and the limit is shared again when Redis is back.
 */
let server: PrivateService;
let behind: Client;
let frozen: number | undefined;
const open: Instance[] = [];

beforeAll(async () => {
  server = await startPrivateRedis();
  behind = observer(server.url);
});
afterAll(async () => {
  behind.disconnect();
  await server.remove();
});
afterEach(async () => {
  if (frozen !== undefined) process.kill(frozen, 'SIGCONT');
  frozen = undefined;
  for (const each of open.splice(0)) await each.close();
  await server.start().catch(() => undefined); // it runs already
  await until('the observer is back', () => behind.status === 'ready');
});

const start = async (count: number, config: Parameters<typeof instance>[1] = {}): Promise<Instance[]> => {
  const made = Array.from({ length: count }, () => instance(server.url, config));
  open.push(...made);
  await until('all are connected', () => made.every(({ redis }) => redis.state === 'ready'));
  return made;
};
const SILENCE = LIMITS.windowMs + LIMITS.marginMs;
/** Processes find Redis again within 2.5 s of each other (retries at most 2 s apart), which must be less than half a window (mode.ts). */
const LONG = { windowMs: 5_000, requests: 200 };
/** Where it comes back at once a second is enough. */
const SHORT = { windowMs: 2_500, requests: 100 };

test('killed and restarted with older data while processes fire as fast as they can', async () => {
  const instances = await start(5, SHORT);
  await instances[0]!.limiter.take('w');
  await behind.save(); // what comes back each time: an epoch of long ago, and none of the last tokens
  // Three fire from the beginning, and after each restart one more, which knows of no wait and asks at once.
  const rounds = [firing(instances.slice(0, 3), ['u', 'v'])];
  const times = (): number[] => rounds.flatMap((round) => round.times.get('u')!);
  for (const late of instances.slice(3)) {
    const before = times().length;
    await until('they fire', () => times().length >= before + 25);
    await server.kill();
    await server.start();
    await until('the new server is found', () => instances.every(({ redis, limiter }) => redis.state === 'ready' && limiter.source === 'shared'));
    rounds.push(firing([late], ['u', 'v']));
  }
  const before = times().length;
  await until('they fire again', () => times().length >= before + SHORT.requests);
  for (const round of rounds) await round.stop();
  for (const user of ['u', 'v']) expect(densest(rounds.flatMap((round) => round.times.get(user)!), SHORT.windowMs)).toBeLessThanOrEqual(SHORT.requests);
});

test('away for long: silence, then a share; back: silence, then all of it; never more than the limit', async () => {
  const instances = await start(2, LONG);
  const shots = firing(instances, ['u']);
  const times = shots.times.get('u')!;
  await until('they fire', () => times.length >= LONG.requests);
  const killed = performance.now();
  await server.kill();
  await until('both count by themselves', () => instances.every(({ limiter }) => limiter.source === 'local'));
  const alone = performance.now();
  const before = times.length;
  await until('they go on', () => times.length >= before + LONG.requests);
  const local = times.filter((at) => at > alone);
  expect(local[0]! - killed).toBeGreaterThan(LONG.windowMs); // each counts its silence from when it noticed, and one notices later than the other
  expect(densest(local, LONG.windowMs)).toBeLessThanOrEqual(LONG.requests); // two processes at half of it each
  const started = performance.now();
  await server.start();
  await until('both count together', () => instances.every(({ limiter }) => limiter.source === 'shared'));
  const back = performance.now();
  const after = times.length;
  await until('they go on', () => times.length >= after + LONG.requests);
  await shots.stop();
  expect(densest(times, LONG.windowMs)).toBeLessThanOrEqual(LONG.requests);
  expect(times.find((at) => at > back)! - started).toBeGreaterThan(LONG.windowMs);
  for (const { told } of instances) expect(told).toEqual(['local', 'shared']);
});

/*
 * The server runs on, keeps its data and knows of no reason for silence; what was taken without it is not in it. The one who served the seller alone comes back last, when another has
 * found the server already and has taken the seller over.
 */
test('cut off from a server that runs on: who is back first waits for what others have taken by themselves', async () => {
  const { hostname: host, port } = new URL(server.url);
  const gates = [await startTcpGate({ host, port: Number(port) }), await startTcpGate({ host, port: Number(port) })] as const;
  try {
    const [first, last] = gates.map((gate) => instance(`redis://127.0.0.1:${gate.port}`, LONG)) as [Instance, Instance];
    open.push(first, last);
    await until('all are connected', () => [first, last].every(({ redis }) => redis.state === 'ready'));
    for (const { limiter } of [first, last]) await limiter.take('w'); // the epoch is there
    await Promise.all(gates.map((gate) => gate.shut()));
    await until('both count by themselves', () => [first, last].every(({ limiter }) => limiter.source === 'local'));
    const alone = firing([last], ['u']);
    await until('its share is taken', () => alone.times.get('u')!.length >= LONG.requests / 2);
    await gates[0].reopen();
    await until('one is back', () => first.limiter.source === 'shared');
    const together = firing([first], ['u']);
    await gates[1].reopen();
    await until('both are', () => last.limiter.source === 'shared');
    await until('they go on', () => together.times.get('u')!.length >= LONG.requests / 4);
    await Promise.all([alone.stop(), together.stop()]);
    expect(densest([...alone.times.get('u')!, ...together.times.get('u')!], LONG.windowMs)).toBeLessThanOrEqual(LONG.requests);
  } finally {
    await Promise.all(gates.map((gate) => gate.close()));
  }
});

test('frozen, connections open: as good as away', async () => {
  const instances = await start(2, LONG);
  const shots = firing(instances, ['u']);
  const times = shots.times.get('u')!;
  await until('they fire', () => times.length >= 10);
  const pid = Number(/^process_id:(\d+)/m.exec(await behind.info('server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  frozen = pid;
  await until('it is frozen', () => processState(pid) === 'T');
  const before = times.length;
  await until('they go on by themselves', () => times.length >= before + LONG.requests / 2);
  process.kill(pid, 'SIGCONT');
  frozen = undefined;
  await until('both count together', () => instances.every(({ limiter }) => limiter.source === 'shared'));
  const after = times.length;
  const back = performance.now();
  await instances[0]!.limiter.take('v'); // whom another may still serve by itself
  expect(performance.now() - back).toBeGreaterThan(LONG.windowMs / 2);
  await until('they go on', () => times.length >= after + LONG.requests / 2);
  await shots.stop();
  expect(densest(times, LONG.windowMs)).toBeLessThanOrEqual(LONG.requests);
});

test('gone for a moment, connections cut: no silence, as nobody can have counted alone', async () => {
  const [one] = await start(1, SHORT);
  await one!.limiter.take('u');
  one!.redis.onState((state) => void (state === 'away' && one!.limiter.throttled('nobody'))); // somebody notices
  await behind.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until('it was told', () => one!.told.length === 2);
  const back = performance.now();
  await one!.limiter.take('u');
  expect(performance.now() - back).toBeLessThan(SHORT.windowMs / 2); // silence would have been all of it
  expect(one!.told).toEqual(['local', 'shared']);
});

describe('at the start', () => {
  test('not there: silence, then a share; then it comes', async () => {
    await server.stop();
    const one = instance(server.url);
    open.push(one);
    const begun = performance.now();
    await one.limiter.take('u');
    expect(performance.now() - begun).toBeGreaterThan(SILENCE - 100);
    expect(one.limiter.source).toBe('local');
    expect((await one.limiter.inspect('u')).buckets.all).toEqual({ full: 20, limit: 20, used: 1, pausedMs: 0, silentMs: 0 });
    await server.start();
    await until('it counts together with others', () => one.limiter.source === 'shared');
    await one.limiter.take('u');
    expect(one.told).toEqual(['local', 'shared']);
  });

  test('there, but not yet connected: nobody falls back', async () => {
    const one = instance(server.url);
    open.push(one);
    expect(one.redis.state).toBe('connecting');
    await one.limiter.take('u');
    expect(one.told).toEqual([]);
  });
});

test('what a process took by itself holds up its sellers in all others, when it comes back', async () => {
  const [late] = await start(1, SHORT);
  await late!.limiter.take('u');
  await server.kill();
  await late!.limiter.take('u'); // by itself, after a window of silence
  await late!.limiter.take('v');
  await server.start();
  await until('the observer is back', () => behind.status === 'ready');
  await until('it counts together with others, and has told them', async () => late!.limiter.source === 'shared' && (await behind.hexists('rate_limit:{v}:state', 'paused')) === 1);
  for (const user of ['u', 'v']) {
    const paused = Number(await behind.hget(`rate_limit:{${user}}:state`, 'paused')) - Number((await behind.time())[0]) * 1_000;
    expect(paused).toBeGreaterThan(-1_000);
    expect(paused).toBeLessThanOrEqual(SHORT.windowMs + LIMITS.marginMs + 1_000);
  }
  expect(await behind.hexists('rate_limit:{nobody}:state', 'paused')).toBe(0);
});

test('a 429 that comes while Redis is away is not forgotten, nor when it is back', async () => {
  const [one] = await start(1);
  await one!.limiter.take('u');
  await server.kill();
  await one!.limiter.throttled('u', { retryAfterMs: 120_000 });
  expect(one!.limiter.source).toBe('local');
  expect((await one!.limiter.inspect('u')).buckets.all).toMatchObject({ limit: 14, pausedMs: expect.any(Number) as number });
  expect((await one!.limiter.inspect('u')).buckets.all.pausedMs).toBeGreaterThan(60_000);
  await server.start();
  await until('all processes hear of it', async () => one!.limiter.source === 'shared' && (await one!.limiter.inspect('u')).buckets.all.pausedMs > 20_000);
});
