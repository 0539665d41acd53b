import { describe, it } from 'vitest';
import { TOPICS } from '../../src/contract/index.ts';
import type { FaultPoint } from '../../src/platform/fault-points.ts';
import { backends, holdLanes } from '../support/holds.ts';
import { accept, createSystem, refuse, withRefused, workload, type System } from '../support/system.ts';
import { processState, until } from '../support/wait.ts';
import type { Worker } from '../support/worker.ts';

const EVERY_PARTITION = TOPICS.marketplaceEvents.partitions;

/** A worker that stands still at `point` in the middle of its work, like a machine that was suspended. */
async function freeze(system: System, point: FaultPoint, { env = {}, passage = 2 }: { env?: Record<string, string>; passage?: number } = {}): Promise<Worker> {
  const zombie = system.start({ fault: `${point}:stop:${passage}`, env });
  await zombie.said(`fault point ${point}: stop`);
  await until('a frozen worker', () => processState(zombie.pid) === 'T');
  return zombie;
}

/** Resolves once this worker owns all partitions, which is after the broker has given the frozen one up. */
async function takenOver(worker: Worker): Promise<void> {
  await until('a take-over', () => worker.joins().some(({ partitions }) => (partitions as number[]).length === EVERY_PARTITION), { state: () => worker.tail() });
}

/** The one that was frozen is a member again, or has ended with an error: it does not just hang about. */
async function cameToItsSenses(zombie: Worker, joinsBefore: number): Promise<void> {
  await until('a zombie that joins again or ends', () => zombie.exit !== undefined || zombie.joins().length > joinsBefore, { timeoutMs: 80_000, state: () => zombie.tail() });
  if (zombie.exit?.code === 0) throw new Error(`the zombie ended as if all were well\n${zombie.tail()}`);
}

/** P1, P2: who was given up for dead and comes back changes nothing wrongly. */
describe.concurrent('a worker frozen past its session timeout', () => {
  it('inside its transaction, with lanes held: the server ends it, the other worker goes on, the zombie changes nothing', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    await system.publish(workload({ seed: 5_001, events: 4_000 }));
    // Longer than the session: for a while the lanes of somebody who is no member any more are held.
    const zombie = await freeze(system, 'ingest.after-write', { env: { BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS: '6000' } });
    const held = (await backends(system.pool)).filter(({ state }) => state === 'idle in transaction');
    expect(held.length).toBeGreaterThan(0);

    const other = system.start();
    await takenOver(other);
    await system.finished(other);
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await cameToItsSenses(zombie, joins);
    await system.publish(workload({ seed: 5_002, events: 1_000 }));
    await system.finished(other);
  });

  it('before its transaction: its records are all known by the time it applies them', async (context) => {
    const system = await createSystem(context);
    await system.publish(workload({ seed: 5_003, events: 4_000 }));
    const zombie = await freeze(system, 'ingest.after-decode');
    const other = system.start();
    await takenOver(other);
    await system.finished(other);
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await cameToItsSenses(zombie, joins);
    await system.publish(workload({ seed: 5_004, events: 1_000 }));
    await system.finished(other);
  });

  it('and woken in the middle of the take-over: both apply the same records at once', async (context) => {
    const system = await createSystem(context);
    await system.publish(workload({ seed: 5_005, events: 30_000 }));
    const zombie = await freeze(system, 'ingest.after-decode');
    const rows = await system.ledgerRows();
    const other = system.start();
    await takenOver(other);
    await until('work of the other worker', async () => (await system.ledgerRows()) > rows);
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await cameToItsSenses(zombie, joins);
    await system.publish(workload({ seed: 5_006, events: 1_000 }));
    await system.finished(other);
  });

  it('about to park a user whose event the other worker could apply: it parks nobody', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const { pool } = system;
    await refuse(pool);
    await system.publish(withRefused(workload({ seed: 5_010, events: 4_000 }), { from: 1_000, users: 1 }));
    const zombie = await freeze(system, 'ingest.before-park', { passage: 1 });
    await accept(pool); // the cause is gone before anybody was parked
    const other = system.start();
    await takenOver(other);
    expect((await system.finished(other)).outcomes.parked).toBe(0);
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await cameToItsSenses(zombie, joins);
    await system.publish(workload({ seed: 5_011, events: 1_000 }));
    expect((await system.finished(other)).outcomes.parked).toBe(0);
    expect((await pool.query('SELECT FROM parked_users')).rowCount).toBe(0);
  });

  it('after its commit, before its offset: it may not move the group back for good', async (context) => {
    const system = await createSystem(context);
    await system.publish(workload({ seed: 5_007, events: 4_000 }));
    const zombie = await freeze(system, 'ingest.commit-acknowledged');
    const other = system.start();
    await takenOver(other);
    await system.finished(other);
    const before = await system.topics.committed();
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await cameToItsSenses(zombie, joins);
    for (const [partition, offset] of await system.topics.committed()) context.expect(offset).toBeGreaterThanOrEqual(before.get(partition) ?? 0);
    await system.publish(workload({ seed: 5_008, events: 1_000 }));
    await system.finished(other);
  });
});

describe.concurrent('a worker whose chunk takes longer than its session', () => {
  it('is no zombie: it keeps its membership with heartbeats, however short the session', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    await system.publish(workload({ seed: 5_009, events: 2_000 }));
    const lanes = await holdLanes(system);
    const worker = system.start({ env: { BRX_INGEST_SESSION_TIMEOUT_MS: '3000', BRX_DATABASE_LOCK_TIMEOUT_MS: '18000' } });
    await lanes.reached();
    const waitedMs = async (): Promise<number> => Math.max(...(await backends(system.pool)).filter(({ waitsFor }) => waitsFor === 'Lock').map(({ sinceMs }) => sinceMs));
    await until('a wait of more than two sessions', async () => (await waitedMs()) > 7_000);
    await lanes.release();
    await system.finished(worker);
    expect(worker.joins()).toHaveLength(1);
  });
});
