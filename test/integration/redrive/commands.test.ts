import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { change, randomUuid } from '../../support/events.ts';
import { commandLine } from '../../support/cli.ts';
import { createIngestWorld, itemOf, type IngestWorld } from '../../support/ingest.ts';
import { stackUrls } from '../../support/stack.ts';

/** Protects: what an operator types does what it says, asks before it does it, and tells by its exit code. */
let world: IngestWorld;
let brx: ReturnType<typeof commandLine>['brx'];

beforeAll(async () => {
  world = await createIngestWorld();
  await world.start();
  const { kafkaBrokers, registryUrl } = stackUrls();
  brx = commandLine({ BRX_KAFKA_BROKERS: kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: registryUrl, BRX_DATABASE_URL: world.database.url, BRX_TOPIC_PREFIX: world.topics.prefix, BRX_INGEST_GROUP_ID: world.topics.groupId }).brx;
});
afterAll(() => world.close());

/** A dead letter of an adjustment below zero; its id. */
async function dead(): Promise<{ id: string; user: string; item: string }> {
  const [user, item] = [randomUuid(), randomUuid()];
  await world.sendEvents(change({ user_id: user, item_id: item, kind: 'ADJUST', quantity: -2 }));
  await world.processed();
  const { json } = await brx(['dlq', 'list', '--user', user, '--json']);
  return { id: String((json as { id: number }[])[0]?.id), user, item };
}

test('show tells what it says; its value, corrected in a file, is sent, and both are shown from then on', async () => {
  const { id, user, item } = await dead();
  const shown = await brx(['dlq', 'show', id]);
  for (const text of [`dead letter ${id}: would_go_negative`, '"quantity": -2', 'brx.marketplace.InventoryChanged', 'state     open']) expect(shown.stdout).toContain(text);

  const value = (await brx(['dlq', 'show', id, '--value', '--json'])).json as { quantity: number };
  const file = join(tmpdir(), `${user}.json`);
  await writeFile(file, JSON.stringify({ ...value, quantity: 4 }));
  const asked = await brx(['dlq', 'redrive', id, '--edit', file, '--reason', 'typing mistake']);
  expect(asked).toMatchObject({ exit: 4, stderr: expect.stringContaining('nothing was done: this would send again 1 open dead letter') as string });

  expect(await brx(['dlq', 'redrive', id, '--edit', file, '--reason', 'typing mistake', '--yes', '--json'])).toMatchObject({ exit: 0, json: { results: [{ outcome: 'ok' }], counts: { ok: 1 } } });
  expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 4 });
  const after = await brx(['dlq', 'show', id]);
  for (const text of ['"quantity": -2', 'what was sent instead', '"quantity": 4', 'typing mistake', 'dlq.redrive-edited']) expect(after.stdout).toContain(text);
});

test('one that cannot be read is shown in bytes', async () => {
  await world.send({ key: 'k', value: Buffer.from('no Avro at all') });
  await world.processed();
  const [letter] = (await brx(['dlq', 'list', '--cause', 'undecodable', '--json'])).json as { id: number }[];
  expect((await brx(['dlq', 'show', String(letter?.id)])).stdout).toContain('no Avro at all');
});

test('redrive rehearses, then refuses what would do nothing, and ends with 1 when something is left', async () => {
  const { id } = await dead();
  expect(await brx(['dlq', 'redrive', id, '--reason', 'r', '--dry-run', '--json'])).toMatchObject({ exit: 0, json: { counts: { duplicate: 1 } } });
  await world.send({ key: randomUuid(), value: Buffer.from('no Avro at all') });
  await world.processed();
  expect(await brx(['dlq', 'redrive', '--cause', 'undecodable', '--reason', 'r', '--yes', '--json'])).toMatchObject({ exit: 1, json: { counts: { unfit: expect.any(Number) as number } } });
});

test('discard gives up what is named, and nothing without being told which', async () => {
  const { id } = await dead();
  expect(await brx(['dlq', 'discard', '--reason', 'r', '--yes'])).toMatchObject({ exit: 2 });
  expect(await brx(['dlq', 'discard', id, '--reason', 'r'])).toMatchObject({ exit: 4 });
  expect(await brx(['dlq', 'discard', id, '--reason', 'r', '--yes', '--json'])).toMatchObject({ exit: 0, json: { discarded: [Number(id)] } });
  expect(await brx(['dlq', 'redrive', id, '--reason', 'r', '--yes'])).toMatchObject({ exit: 4 });
});

test('interrupted, it tells what is done by then, and does not end as if that were all', async () => {
  const [first, second] = [await dead(), await dead()];
  expect(await brx(['dlq', 'discard', first.id, '--reason', 'r', '--yes', '--json'], { interruptAt: '1 given up' })).toMatchObject({ exit: 130, stdout: `{"discarded":[${first.id}]}\n` });
  expect(await brx(['dlq', 'redrive', second.id, '--reason', 'r', '--yes', '--json'], { interruptAt: ' sent, ' })).toMatchObject({ exit: 130, json: { results: [{ id: Number(second.id) }] } });
});

test('lag tells all groups, and one that gets on by an exit code of 0', async () => {
  const { exit, json } = await brx(['lag', '--for', '1', '--group', world.topics.groupId, '--json']);
  expect([exit, json]).toMatchObject([0, { total: { records: 0, seconds: 0 }, groups: [{ group: world.topics.groupId, topic: world.topics.events }] }]);
});
