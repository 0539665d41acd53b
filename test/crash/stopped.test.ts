import { describe, it } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../src/platform/fault-points.ts';
import { holdCommits, holdLanes, holdDeletes, holdParking, holdReads, holdWrites, type Hold } from '../support/holds.ts';
import { checkOracle } from '../support/oracle-check.ts';
import { startRegistryGate } from '../support/registry-gate.ts';
import { createSystem, refuse, salesWorkload, withRefused, workload, type System } from '../support/system.ts';
import { processState, until } from '../support/wait.ts';
import type { Worker } from '../support/worker.ts';

/** Longer than a stop takes: who is no member afterwards has left, and was not expelled. */
const SESSION_MS = 6_000;
const PROMPT_MS = 8_000;
const PASSAGE: Partial<Record<FaultPoint, number>> = { 'ingest.before-park': 1, 'ingest.after-park': 1, 'relay.before-send': 1, 'relay.after-send': 1, 'relay.after-delete': 1 };

/** Stopped by itself, left the group, and what it left undone another worker can do at once. */
async function leftInOrder(system: System, worker: Worker, expect: (value: unknown) => { toEqual(other: unknown): void }): Promise<void> {
  expect(await worker.ended(PROMPT_MS)).toEqual({ code: 0, signal: null });
  expect(worker.logged('stopped').length).toEqual(1);
  expect(await system.topics.members()).toEqual([]);
}

async function another(system: System): Promise<void> {
  await system.finished(await system.takeOver());
}

/** Those of sagas and the dispatcher need sales: dispatcher.test.ts. */
const POINTS = FAULT_POINTS.filter((point) => point.startsWith('ingest.') || point.startsWith('relay.'));

/** With purchases too: its sagas stop beside its ingest. One, for sales are work for all of them. */
const WITH_SALES: ReadonlySet<FaultPoint> = new Set(['ingest.after-begin']);

describe.concurrent('SIGTERM', () => {
  it.for(POINTS)('at %s: ends the chunk in hand, leaves the group, exit 0', async (point, context) => {
    const { expect } = context;
    const sales = WITH_SALES.has(point);
    const system = await createSystem(context, { sales, sessionTimeoutMs: SESSION_MS });
    await refuse(system.pool);
    await system.publish(withRefused((sales ? salesWorkload : workload)({ seed: 7_001, events: sales ? 2_000 : 3_000 }), { from: 1_000, users: 1 }));
    // Frozen there, so that the signal is the first thing it meets when it goes on.
    const worker = system.start({ fault: `${point}:stop:${PASSAGE[point] ?? 2}` });
    await worker.said(`fault point ${point}: stop`);
    await until('a frozen worker', () => processState(worker.pid) === 'T');
    worker.signal('SIGTERM');
    worker.signal('SIGCONT');
    await leftInOrder(system, worker, expect);
    const report = await checkOracle(system.topics, system.pool, { complete: false });
    if (point.startsWith('ingest.')) expect(report.complete).toBe(false); // the chunk in hand, not the whole topic
    await another(system);
  });

  const HELD: readonly [phase: string, hold: (system: System) => Promise<Hold>][] = [
    ['it waits for its lanes', holdLanes],
    ['it waits for what it reads', holdReads],
    ['it waits for what it writes', holdWrites],
    ['it waits for its COMMIT', holdCommits],
    ['it is parking a user', holdParking],
    ['it deletes what is published', holdDeletes],
  ];
  it.for(HELD)('while %s: waits until that is done, then exit 0', async ([, hold], context) => {
    const { expect } = context;
    const system = await createSystem(context, { sessionTimeoutMs: SESSION_MS });
    await refuse(system.pool);
    await system.publish(withRefused(workload({ seed: 7_002, events: 3_000 }), { from: 200, users: 1 }));
    const held = await hold(system);
    const worker = system.start({ env: { BRX_DATABASE_LOCK_TIMEOUT_MS: '15000' } });
    await held.reached();
    worker.signal('SIGTERM');
    await until('the stop to begin', () => worker.logged('stopping').length === 1);
    expect(worker.exit).toBeUndefined();
    await held.release();
    await leftInOrder(system, worker, expect);
    await another(system);
  });

  it('while the registry does not answer: gives up waiting, exit 0', async (context) => {
    const gate = await startRegistryGate();
    context.onTestFinished(() => gate.close());
    gate.shut();
    const system = await createSystem(context, { sessionTimeoutMs: SESSION_MS });
    await system.publish(workload({ seed: 7_003, events: 3_000 }));
    const worker = system.start({ env: { BRX_SCHEMA_REGISTRY_URL: gate.url } });
    await until('a worker that asks the registry', () => gate.waiting > 0);
    worker.signal('SIGTERM');
    await leftInOrder(system, worker, context.expect);
    context.expect(await system.ledgerRows()).toBe(0);
    await another(system);
  });

  it('while its lanes stay held: gives up at the lock timeout, exit 0', async (context) => {
    const system = await createSystem(context, { sessionTimeoutMs: SESSION_MS });
    await system.publish(workload({ seed: 7_004, events: 3_000 }));
    const lanes = await holdLanes(system);
    const worker = system.start({ env: { BRX_DATABASE_LOCK_TIMEOUT_MS: '2000' } });
    await lanes.reached();
    worker.signal('SIGTERM');
    await leftInOrder(system, worker, context.expect);
    await lanes.release();
    await another(system);
  });

  it('while its lanes stay held beyond the deadline: exit 1 and says so, nothing lost', async (context) => {
    const { expect } = context;
    const system = await createSystem(context, { sessionTimeoutMs: SESSION_MS });
    await system.publish(workload({ seed: 7_005, events: 3_000 }));
    const lanes = await holdLanes(system);
    const worker = system.start({ env: { BRX_DATABASE_LOCK_TIMEOUT_MS: '15000', BRX_SHUTDOWN_TIMEOUT_MS: '2000' } });
    await lanes.reached();
    worker.signal('SIGTERM');
    expect(await worker.ended(PROMPT_MS)).toEqual({ code: 1, signal: null });
    expect(worker.text).toContain('error BRX_STOP_TIMEOUT: not stopped within 2000 ms');
    expect(worker.text).toContain('nothing is lost');
    await lanes.release();
    await another(system);
  });
});
