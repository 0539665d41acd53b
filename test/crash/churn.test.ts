import { describe, it } from 'vitest';
import { TOPICS } from '../../src/contract/index.ts';
import { valueBytes } from '../../src/operations/generate/index.ts';
import { checkOracle } from '../support/oracle-check.ts';
import { createSystem, salesWorkload, workload, type System } from '../support/system.ts';
import { until } from '../support/wait.ts';
import type { Worker } from '../support/worker.ts';

/** P1, P2, P3 under a group that never comes to rest. */
describe('three instances', () => {
  it('join, leave and are killed while events come in: every id seen, once in effect, in order, and no offset ahead of the database', async (context) => {
    const { expect } = context;
    const system = await createSystem(context, { sales: true });
    const { topics, pool } = system;
    const enough = new AbortController();
    const publishing = system.publish(salesWorkload({ seed: 4_001, events: 200_000, users: 300 }), { rate: 1_000, signal: enough.signal });

    // All the time: whatever stands below a committed offset is in the database, and nothing in it is wrong.
    let samples = 0;
    const sampling = (async () => {
      while (!enough.signal.aborted) {
        await checkOracle(topics, pool, { complete: false });
        samples += 1;
      }
    })();
    const wrong = sampling.then(() => new Promise<never>(() => undefined));

    const running = [system.start(), system.start(), system.start()];
    const leave = async (signal: 'SIGTERM' | 'SIGKILL', worker: Worker | undefined): Promise<void> => {
      if (worker === undefined) throw new Error('no worker left');
      running.splice(running.indexOf(worker), 1);
      worker.signal(signal);
      expect(await worker.ended()).toEqual(signal === 'SIGTERM' ? { code: 0, signal: null } : { code: null, signal });
      await progress(system);
    };
    const join = async (): Promise<void> => {
      const worker = system.start();
      running.push(worker);
      await worker.joined();
      await progress(system);
    };
    const unrest = async (): Promise<void> => {
      await Promise.all(running.map((worker) => worker.joined()));
      await progress(system);
      await leave('SIGKILL', running[0]);
      await join();
      await leave('SIGTERM', running[0]);
      await join();
      const [, second, third] = running;
      await Promise.all([leave('SIGKILL', second), leave('SIGTERM', third)]);
      await Promise.all([join(), join()]);
      await Promise.all([leave('SIGKILL', running[0]), join()]);
    };
    try {
      await Promise.race([unrest(), wrong, publishing]);
    } finally {
      enough.abort(new Error('enough published'));
    }
    await publishing.catch((error: unknown) => {
      if (error !== enough.signal.reason) throw error;
    });
    await sampling;
    const report = await system.finished(...running);
    expect(report.compared.records).toBeGreaterThan(5_000);
    expect(report.outcomes.duplicate).toBeGreaterThan(0);
    expect(report.sales.by_state['CONFIRMED']).toBeGreaterThan(100);
    expect(samples).toBeGreaterThan(5);
  });
});

describe('a user whose events stand in several partitions', () => {
  it('is still worked on by one transaction at a time: P1 does not depend on the producer’s partitioner', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const { topics } = system;
    const messages = [...workload({ seed: 4_002, events: 6_000, users: 3, duplicates: 0 })].map(({ key, body }, index) => ({
      topic: topics.events,
      key,
      value: valueBytes(body, topics.schemaIds),
      partition: index % TOPICS.marketplaceEvents.partitions,
    }));
    await topics.producer.sendBatch(messages);
    const workers = [system.start(), system.start()];
    const report = await system.finished(...workers);
    expect(report.scattered_users).toBe(3);
    // In turn, by the lanes; not by running into each other and trying again.
    expect(workers.flatMap((worker) => worker.logged('transaction begun again'))).toEqual([]);
    expect(report.outcomes.applied).toBeGreaterThan(1_000);
  });
});

/** Resolves when the group, as it is now, has applied something more. */
async function progress(system: System): Promise<void> {
  const before = await system.ledgerRows();
  await until('progress of the group', async () => (await system.ledgerRows()) > before + 300, { timeoutMs: 80_000 });
}
