import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { accept, createSystem, refuse, workload, withRefused, type System } from '../support/system.ts';
import { until } from '../support/wait.ts';
import type { Worker } from '../support/worker.ts';

/** The built program as operators run it: what is on stdout, what is on stderr, and the exit code. */
const PROGRAM = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** Runs a command with --json to its end and reads the one document it answered. */
async function answer(system: System, ...args: string[]): Promise<{ code: number | null; json: unknown }> {
  const command = system.run([...args, '--json']);
  const { code } = await command.ended();
  const line = command.text.split('\n').find((one) => one.startsWith('{') || one.startsWith('['));
  if (line === undefined) throw new Error(`no JSON in the answer of ${args.join(' ')}:\n${command.text}`);
  return { code, json: JSON.parse(line) as unknown };
}

const served = async (worker: Worker): Promise<string> => String((JSON.parse(await worker.said('health and metrics are served')) as { url: string }).url);

test('start: alive, ready and measured while it runs, 0 when it is told to stop', async (context) => {
  const system = await createSystem(context);
  const worker = system.run(['start', '--port', '0']);
  const url = await served(worker);
  await system.publish(workload({ events: 200 }));
  await system.finished(worker);

  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  expect(await (await fetch(`${url}/health/ready?verbose`)).json()).toMatchObject({ status: 'ok', checks: expect.arrayContaining([expect.objectContaining({ name: 'ingest group', ok: true })]) as unknown[] });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^brx_events_total\{event_type="InventoryChanged",outcome="ok"\} [1-9]/m);
  expect(metrics).toMatch(/^brx_event_end_to_end_seconds_count\{event_type="InventoryChanged",outcome="ok"\} [1-9]/m);
  expect(metrics).toMatch(new RegExp(`^brx_consumer_records_lag\\{topic="${system.topics.events}",partition="\\d+",group="${system.topics.groupId}"\\} 0$`, 'm'));
  expect(metrics).toMatch(/^brx_pool_max_connections\{pool="postgres"\} 12$/m);

  worker.signal('SIGTERM');
  expect(await worker.ended()).toEqual({ code: 0, signal: null });
});

test('start: a port that is taken ends it with the configuration’s exit code, naming port and variable', async (context) => {
  const system = await createSystem(context);
  const taken = createServer().listen(0, '127.0.0.1');
  await until('a taken port', () => taken.listening);
  const { port } = taken.address() as { port: number };
  const worker = system.run(['start', '--roles', 'http', '--port', String(port)]);
  expect(await worker.ended()).toEqual({ code: 78, signal: null });
  expect(worker.text).toContain(`port ${port} of 127.0.0.1 is taken`);
  expect(worker.text).toContain('BRX_HTTP_PORT');
  taken.close();
});

test('lag: behind by what was published, then caught up', async (context) => {
  const system = await createSystem(context);
  await system.publish(workload({ events: 100 }));
  const before = await answer(system, 'lag');
  expect(before).toMatchObject({ code: 0, json: { groups: [{ topic: system.topics.events, group: system.topics.groupId, state: 'Dead' }, { group: `${system.topics.groupId}-snapshots` }, { topic: system.topics.sagaEvents, group: system.topics.sagaGroupId }] } });
  const { total } = before.json as { total: { records: number; seconds: number } };
  expect(total.records).toBeGreaterThanOrEqual(100);
  expect(total.seconds).toBeGreaterThan(0);

  const worker = system.start();
  await system.finished(worker);
  await until('a group that has caught up', async () => ((await answer(system, 'lag')).json as { total: { records: number } }).total.records === 0);
  const table = system.run(['lag']);
  await table.ended();
  expect(table.text).toMatch(/behind: 0 records, 0 s {3}group: Stable, 1 member\n/);
});

test('lag --watch: ends quietly at Ctrl-C', async (context) => {
  const system = await createSystem(context);
  const watching = system.run(['lag', '--watch', '1']);
  await watching.said('= same'); // the second picture has a trend
  watching.signal('SIGINT');
  expect(await watching.ended()).toEqual({ code: 0, signal: null });
});

test('parked and dlq: list, a retry in vain, a retry that works, a discard that asks first', async (context) => {
  const system = await createSystem(context);
  await refuse(system.pool);
  system.start();
  await system.publish(withRefused(workload({ events: 600, poison: 0.05 }), { from: 50, users: 2 }));
  type Parked = { userId: string; events: number; error: string }[];
  const parked = await until('two parked users', async () => {
    const list = (await answer(system, 'parked', 'list')).json as Parked;
    return list.length === 2 ? list : undefined;
  });
  const [first, second] = parked as [Parked[0], Parked[0]];
  expect(first.events).toBeGreaterThan(0);

  const inVain = await answer(system, 'parked', 'retry', first.userId);
  expect(inVain).toMatchObject({ code: 1, json: [{ userId: first.userId, error: expect.stringContaining('refused_by_test') as string }] });

  const asked = system.run(['parked', 'discard', second.userId, '--reason', 'merged']);
  expect(await asked.ended()).toMatchObject({ code: 4 });
  expect(asked.text).toContain('nothing was discarded');
  expect(await answer(system, 'parked', 'discard', second.userId, '--reason', 'merged', '--yes')).toMatchObject({ code: 0, json: { userId: second.userId, discarded: 1 } });
  expect(await answer(system, 'dlq', 'list', '--reason', 'discarded')).toMatchObject({ code: 0, json: [{ reason: 'discarded', detail: 'merged', userId: second.userId, source: { topic: system.topics.events, value: expect.stringMatching(/^[\w+/]+=*$/) as string } }] });

  await accept(system.pool);
  await until('nobody parked', async () => {
    await answer(system, 'parked', 'retry', '--all');
    return ((await answer(system, 'parked', 'list')).json as Parked).length === 0;
  });
  const reasons = ((await answer(system, 'dlq', 'list', '--limit', '1000')).json as { reason: string }[]).map((letter) => letter.reason);
  expect(new Set(reasons).size).toBeGreaterThan(2);
  expect(await answer(system, 'parked', 'retry', first.userId)).toMatchObject({ code: 4, json: { error: { code: 'BRX_REFUSED' } } });
});

test('a database that is not migrated is told before anything is asked of it', async (context) => {
  const { createEmptyDatabase } = await import('../support/database.ts');
  const system = await createSystem(context, { database: await createEmptyDatabase() });
  for (const args of [['dlq', 'list'], ['parked', 'list'], ['start', '--roles', 'ingest']]) {
    const command = system.run(args);
    expect(await command.ended()).toEqual({ code: 70, signal: null });
    expect(command.text).toContain('error BRX_DATABASE_SCHEMA');
    expect(command.text).toContain('brx-sync migrate');
  }
});

test('a reader that goes away (| head) ends a command without a word', () => {
  const { stdout, stderr, status } = spawnSync('bash', ['-c', 'set -o pipefail; "$0" "$1" generate --help | head -c 1', process.execPath, PROGRAM], { encoding: 'utf8' });
  expect({ stdout, stderr, status }).toEqual({ stdout: 'U', stderr: '', status: 0 });
});
