import { describe, it } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../src/platform/fault-points.ts';
import { blocked, holdCommits } from '../support/holds.ts';
import { checkDeadLetterTopic, checkOracle } from '../support/oracle-check.ts';
import { accept, createSystem, refuse, salesWorkload, withRefused, workload } from '../support/system.ts';
import { until } from '../support/wait.ts';

/** Passed once a chunk, most of them: at the second passage there is work that is done, and other partitions are at work. */
const PASSAGE: Partial<Record<FaultPoint, number>> = { 'ingest.before-park': 1, 'ingest.after-park': 1, 'relay.before-send': 1, 'relay.after-send': 1, 'relay.after-delete': 1 };

/**
 * P3: SIGKILL at any named point loses nothing and repeats nothing. Every point the program knows is tried, so that a new one
 * cannot be forgotten; one that this workload does not reach fails its test.
 */
/** Those of sagas and the dispatcher need sales: dispatcher.test.ts. */
const POINTS = FAULT_POINTS.filter((point) => point.startsWith('ingest.') || point.startsWith('relay.'));

/** With purchases too: what the first worker has committed and not acknowledged, holds and sagas among it, meets the second. One, for sales are work for all of them. */
const WITH_SALES: ReadonlySet<FaultPoint> = new Set(['ingest.commit-acknowledged']);

describe.concurrent('a worker killed with SIGKILL', () => {
  it.for(POINTS)('at %s: another one finishes, every event once in effect and in order', async (point, context) => {
    const { expect } = context;
    const sales = WITH_SALES.has(point);
    const system = await createSystem(context, { sales });
    const { topics, pool } = system;
    await refuse(pool);
    await system.publish(withRefused((sales ? salesWorkload : workload)({ seed: 3_001, events: sales ? 2_000 : 3_000 }), { from: 1_000, users: 1 }));

    const first = system.start({ fault: `${point}:kill:${PASSAGE[point] ?? 2}` });
    expect(await first.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(first.text).toContain(`fault point ${point}: kill`);
    await checkOracle(topics, pool, { complete: false }); // the offsets it left behind promise nothing that is not in the database

    const second = await system.takeOver();
    const { outcomes } = await system.finished(second);
    expect(outcomes.parked).toBeGreaterThan(0);

    await until('an empty outbox', async () => (await pool.query('SELECT FROM outbox LIMIT 1')).rowCount === 0);
    const copies = await checkDeadLetterTopic(topics, pool);
    expect(copies.size).toBeGreaterThan(0);
    // Killed between Kafka's acknowledgement and the mark: sent again, under the same id.
    if (point === 'relay.after-send') expect([...copies.values()].some((times) => times > 1)).toBe(true);

    await accept(pool);
    expect(await system.command(['parked', 'retry', '--all'])).toMatchObject({ exit: 0 });
    expect((await system.finished(second)).outcomes.parked).toBe(0);
  });

  it('while its COMMIT is on the way: the server finishes it, and the other worker finds its rows', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const commits = await holdCommits(system);
    await system.publish(workload({ seed: 3_002, events: 3_000 }));
    // Every partition at work at once, so that the second worker meets the lanes of the first for certain.
    const patient = { BRX_INGEST_CONCURRENCY: '12', BRX_DATABASE_POOL_MAX: '20', BRX_DATABASE_LOCK_TIMEOUT_MS: '25000', BRX_DATABASE_STATEMENT_TIMEOUT_MS: '28000' };

    const first = system.start({ fault: 'ingest.commit-sent:kill', env: patient });
    expect(await first.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    // The proof that COMMIT was in flight: its sender is dead, nothing can be seen of it, and the server is at it.
    const orphan = await blocked(system, /^COMMIT/);
    expect(await system.ledgerRows()).toBe(0);

    const second = system.start({ env: patient });
    await second.joined();
    await blocked(system, /pg_advisory_xact_lock\(\d+, lane\)/); // it has the same records in hand and waits for the lanes of the dead one
    await commits.release();
    await system.finished(second);
    const { rows } = await system.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM stock_ledger WHERE xmin::text = $1', [orphan.xid]);
    expect(rows[0]?.n).toBeGreaterThan(0);
  });
});
