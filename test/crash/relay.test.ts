import { describe, it, type TestContext } from 'vitest';
import type { FaultAction, FaultPoint } from '../../src/platform/fault-points.ts';
import { randomUuid } from '../support/events.ts';
import { createOutboxWorld, type OutboxWorld } from '../support/outbox.ts';
import { stackUrls } from '../support/stack.ts';
import { processState, until } from '../support/wait.ts';
import { Worker } from '../support/worker.ts';

/**
 * Protects: a relay that dies, or is frozen past its lease and comes to itself again, loses nothing; what it repeats is a prefix of
 * what was sent, so that each user's first occurrences stay in order.
 */
const POINTS = ['relay.before-send', 'relay.after-send', 'relay.after-delete'] as const satisfies readonly FaultPoint[];
const users = Array.from({ length: 60 }, randomUuid);

/** `brx-sync start --roles relay`, as it is run in production. */
function startRelay({ onTestFinished }: TestContext, world: OutboxWorld, fault?: `${FaultPoint}:${FaultAction}:${number}`): Worker {
  const worker = new Worker(['start', '--roles', 'relay'], {
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: world.databaseUrl,
    BRX_LOG_FORMAT: 'json',
    ...(fault === undefined ? {} : { BRX_FAULT: fault }),
  });
  onTestFinished(() => worker.kill());
  return worker;
}

const rounds = async (world: OutboxWorld, count: number): Promise<void> => {
  for (let round = 0; round < count; round += 1) await world.write(users);
};

describe.concurrent('killed with SIGKILL', () => {
  it.for(POINTS.flatMap((point) => [1, 4].map((passage) => [point, passage] as const)))('at %s, passage %i: the next one goes on', async ([point, passage], context) => {
    const { expect } = context;
    const world = await createOutboxWorld(context);
    await rounds(world, 80); // more than one request
    const first = startRelay(context, world, `${point}:kill:${passage}`);
    expect(await first.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await rounds(world, 2);
    await world.startRelay();
    await world.drained();
    const copies = await world.checkTopics();
    if (point === 'relay.after-send') expect(copies).toBeGreaterThan(0);
    else expect(copies).toBe(0);
  });
});

describe.concurrent('frozen with SIGSTOP past its lease', () => {
  it.for(POINTS)('at %s: another one takes over, and what the zombie still does changes no order', async (point, context) => {
    const { expect } = context;
    const world = await createOutboxWorld(context);
    await rounds(world, 80);
    const zombie = startRelay(context, world, `${point}:stop:2`);
    await zombie.said(`fault point ${point}: stop`);
    await until('a frozen relay', () => processState(zombie.pid) === 'T');
    const other = startRelay(context, world);
    await rounds(world, 2);
    await world.drained(0, 40_000); // its lease, and a look of the other one
    await rounds(world, 1);
    await world.drained();
    const before = await world.checkTopics();

    zombie.signal('SIGCONT');
    await until('the zombie to see that its session is gone', () => zombie.logged('outbox not published; trying again').length > 0, { state: () => zombie.tail() });
    await rounds(world, 2);
    await world.drained();
    const after = await world.checkTopics();
    // What it had read before it was frozen, and nobody else's.
    if (point === 'relay.before-send') expect(after - before).toBeGreaterThan(0);
    else expect(after).toBe(before);
    for (const worker of [zombie, other]) {
      worker.signal('SIGTERM');
      expect(await worker.ended()).toEqual({ code: 0, signal: null });
    }
  });
});
