import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCodec, createKafka, createRegistry } from '../../../src/platform/kafka/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { confirm, goTo, pageForEachTest, picture, press, says, serveConsole, signIn, type ConsoleServer } from '../../support/console.ts';
import { change } from '../../support/events.ts';
import { createIngestWorld, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { stackUrls } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: a replay is seen before it is done, says why it may not run, is done only with a reason and the group's name typed, is watched, and can be taken back. */
const TOKEN = 'the token of this test';
let page: Page;
let world: IngestWorld;
let worker: RunningIngest;
let server: ConsoleServer;
let group: string;

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
  await world.sendEvents(...Array.from({ length: 60 }, () => change()));
  await world.processed();
  const { prefix, groupId, sagaGroupId, events, sagaEvents } = world.topics;
  group = groupId;
  server = await serveConsole({
    token: TOKEN,
    over: {
      database: world.database,
      topicPrefix: prefix,
      groupId,
      replays: (postgres) => {
        const asking = { postgres, kafka: createKafka({ brokers: stackUrls().kafkaBrokers.split(','), clientId: 'console', ssl: false, sasl: undefined, topicPrefix: prefix }, silentLogger, { retries: 3 }), codec: createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined })), clock: systemClock, logger: silentLogger, horizonMs: 30 * 86_400_000 };
        return [{ ...asking, group: { role: 'ingest', id: groupId, topic: events } }, { ...asking, group: { role: 'saga', id: sagaGroupId, topic: sagaEvents } }];
      },
    },
  });
});
afterAll(async () => {
  await server.close();
  await world.close();
});
pageForEachTest((opened) => (page = opened));

const signedIn = (hash: string): Promise<void> => signIn(page, server.server, TOKEN, hash);
async function stopped(): Promise<void> {
  await worker.stop();
  await until('the group is empty', async () => (await world.topics.members()).length === 0);
}
const committed = async (): Promise<number> => [...(await world.topics.committed()).values()].reduce((sum, offset) => sum + offset, 0);

test('while instances read: planned, and the button says who is in the way', async () => {
  await signedIn('#/replays');
  await says(page, 'There was none');
  await press(page, 'Plan');
  await says(page, 'may not run now');
  await says(page, `group ${group} has 1 member`);
  await says(page, '60 known: no effect');
  expect(await page.evaluate('[...document.querySelectorAll("main button")].find((button) => button.textContent === "Set the offsets").disabled')).toBe(true);
  await picture(page, 'replay-blocked');
  const answer = await fetch(`${server.server.url}/replays`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify({ reason: 'x', to: 'earliest', confirm: group }) });
  expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([409, expect.stringContaining('has 1 member')]);
  expect(await committed()).toBe(60);
});

test('what makes no sense is said, and nothing asked of Kafka', async () => {
  for (const [query, words] of [['to=time&value=yesterday', 'a time with its zone'], ['to=since&value=soon', 'a duration'], ['to=offset&value=-1', 'an offset'], ['to=shift&value=x', 'number of records'], ['to=earliest&partitions=99', 'partitions 0 to 11']]) {
    const answer = await fetch(`${server.server.url}/replays/plan?${query}`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([400, expect.stringContaining(words!)]);
  }
  for (const confirmed of ['', 'yes', `${group} `]) {
    const answer = await fetch(`${server.server.url}/replays`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify({ reason: 'x', to: 'earliest', confirm: confirmed }) });
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([400, expect.stringContaining(`must be the name of the group that is moved, ${group}`)]);
  }
});

test('set with the name of the group typed, watched without a reload, over; what is over cannot be undone', async () => {
  await stopped();
  await signedIn('#/replays/plan?group=ingest&to=earliest');
  await says(page, 'may run');
  await picture(page, 'replay-plan');
  await press(page, 'Set the offsets');
  await page.waitForSelector('dialog[open]');
  await page.type('#reason', 'a drill');
  await page.keyboard.press('Enter'); // nothing without the name
  expect(await page.evaluate('document.querySelector("dialog[open] #typed:invalid") !== null')).toBe(true);
  expect(await committed()).toBe(60);
  await page.type('#typed', group);
  await page.keyboard.press('Enter');
  await says(page, /Replay \d+ waits for instances/);
  await says(page, '0 of 60 (0 %)');
  expect(await committed()).toBe(0);
  await picture(page, 'replay-waits');
  worker = await world.start();
  await until('it is read again', async () => (await committed()) === 60);
  await says(page, 'is over: every partition is where it had been');
  await says(page, /Replay \d+ over/);
  expect((await world.rows<{ who: string; reason: string }>("SELECT who, reason FROM operator_actions WHERE action = 'replay.apply'"))).toEqual([{ who: 'api', reason: 'a drill' }]);
  await goTo(page, server.server, '#/replays');
  await says(page, 'a drill');
});

test('undone: back to where the group had been, with its name typed', async () => {
  await stopped();
  await signedIn('#/replays/plan?group=ingest&to=shift&value=-2');
  await says(page, 'may run');
  await press(page, 'Set the offsets');
  await confirm(page, 'a mistake', group);
  await says(page, /Replay \d+ waits for instances/);
  expect(await committed()).toBeLessThan(60);
  await press(page, 'Undo');
  await confirm(page, 'wrong time', group);
  await says(page, /Replay \d+ undone/);
  expect(await committed()).toBe(60);
  await says(page, 'is undone already');
});
