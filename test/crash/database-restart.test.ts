import { describe, it } from 'vitest';
import { backends, holdCommits, holdLanes, holdParking, type Hold } from '../support/holds.ts';
import { startPrivatePostgres } from '../support/stack.ts';
import { createSystem, refuse, withRefused, workload, type System } from '../support/system.ts';

const PHASES: readonly [phase: string, hold: (system: System) => Promise<Hold>, statement: RegExp][] = [
  ['while a transaction waits for its lanes', holdLanes, /pg_advisory_xact_lock\(\d+, lane\)/],
  ['while a COMMIT is on the way, so that nobody can know its outcome', holdCommits, /^COMMIT/],
  ['while a user is being parked', holdParking, /INSERT INTO parked_users/],
];

/** P3 and "infrastructure down: pause, keep the membership, resume": PostgreSQL crashes and recovers (`-m immediate`, fsync on). */
describe('PostgreSQL stopped with -m immediate', () => {
  it.for(PHASES)('%s: the worker waits as a member and goes on', async ([, hold, statement], context) => {
    const { expect } = context;
    const postgres = await startPrivatePostgres();
    context.onTestFinished(() => postgres.remove());
    const system = await createSystem(context, { serverUrl: postgres.url, sessionTimeoutMs: 6_000 });
    await system.publish(workload({ seed: 6_001, events: 3_000 }));
    const worker = system.start();
    await worker.joined();
    await system.finished(worker);
    const members = await system.topics.members();
    expect(members).toHaveLength(1);

    const held = await hold(system);
    await refuse(system.pool);
    await system.publish(withRefused(workload({ seed: 6_002, events: 3_000 }), { from: 500, users: 1 }));
    await held.reached();
    expect((await backends(system.pool)).some(({ query }) => statement.test(query))).toBe(true);
    await postgres.stop('immediate'); // the hold goes with the server
    await worker.said('paused until it answers again');
    await system.publish(workload({ seed: 6_003, events: 2_000 }));
    await postgres.start();

    await system.finished(worker);
    expect(worker.logged('resumed').length).toBeGreaterThan(0);
    expect(await system.topics.members()).toEqual(members);
    expect(worker.joins()).toHaveLength(1);
    expect(worker.exit).toBeUndefined();
  });
});
