import { connect, type Socket } from 'node:net';
import { Kafka, logLevel } from 'kafkajs';
import { expect, test, type TestContext } from 'vitest';
import { createKafka, createProducer, type Producer } from '../../../src/platform/kafka/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { randomUuid } from '../../support/events.ts';
import { createOutboxWorld, type OutboxWorld } from '../../support/outbox.ts';
import { startPrivateKafka, startPrivatePostgres, stackUrls, type PrivateService } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: what is away is waited for. Whatever breaks in whatever moment, nothing is lost, and first occurrences keep the order of their user. */
const users = Array.from({ length: 40 }, randomUuid);
const some = (count: number): string[] => Array.from({ length: count }, () => users[Math.floor(Math.random() * users.length)]!);

async function privately<T extends PrivateService>(context: TestContext, starting: Promise<T>): Promise<T> {
  const service = await starting;
  context.onTestFinished(() => service.remove());
  return service;
}

/** Four writers until `stop`, or the end of the test. */
function writing({ onTestFinished }: TestContext, world: OutboxWorld): { stop: () => Promise<void> } {
  let stopped = false;
  const writers = Array.from({ length: 4 }, async () => {
    while (!stopped) await world.write(some(3));
  });
  const stop = async (): Promise<void> => {
    stopped = true;
    await Promise.all(writers);
  };
  onTestFinished(stop);
  return { stop };
}

test('Kafka away at the start and again later: everything waits, and then drains', { timeout: 180_000 }, async (context) => {
  const broker = await privately(context, startPrivateKafka());
  const world = await createOutboxWorld(context, { brokers: broker.url });
  await broker.stop();
  await world.write(users);
  const relay = await world.startRelay();
  await until('it waits', () => relay.waiting.length > 0);
  expect(relay.waiting[0]).toContain('Kafka did not let us');
  await world.write(users);
  await broker.start();
  await world.drained(0, 60_000);

  await broker.kill();
  const waits = relay.waiting.length;
  await world.write(users);
  await until('it waits again', () => relay.waiting.length > waits, { timeoutMs: 60_000 });
  await world.write(users);
  await broker.start();
  await world.drained(0, 60_000);
  await world.checkTopics();
  expect(relay.fatal).toEqual([]);
});

test('a broker that is killed in the middle of a send, three times: nothing lost, order kept', { timeout: 180_000 }, async (context) => {
  const broker = await privately(context, startPrivateKafka());
  const world = await createOutboxWorld(context, { brokers: broker.url });
  const real = createProducer(createKafka({ brokers: [broker.url], clientId: 'relay under test', ssl: false, sasl: undefined, topicPrefix: '' }, silentLogger, { retries: 4 }));
  let requests = 0;
  let onSend = (): void => undefined;
  const producer: Producer = {
    connect: () => real.connect(),
    disconnect: () => real.disconnect(),
    sendBatch(messages) {
      const answer = real.sendBatch(messages);
      requests += 1;
      onSend();
      return answer;
    },
  };
  const relay = await world.startRelay({ producer });
  const writers = writing(context, world);
  for (let times = 0; times < 3; times += 1) {
    const [begun, published] = [requests, relay.published];
    await until('it works', () => requests > begun + 20 && relay.published > published);
    await new Promise<void>((resolve, reject) => {
      onSend = () => {
        onSend = () => undefined;
        broker.kill().then(resolve, reject); // the request is on its way at this moment
      };
    });
    await broker.start();
  }
  await writers.stop();
  await world.drained(0, 60_000);
  await world.checkTopics();
  expect(relay.fatal).toEqual([]);
});

test('answers of Kafka that are lost after it has taken the records: sent again, nothing lost, order kept', async (context) => {
  const world = await createOutboxWorld(context);
  let produced = 0;
  let swallowed = 0;
  const swallow = ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket => {
    const socket = connect({ host, port }, onConnect);
    const write = socket.write.bind(socket);
    // A produce request (api key 0, behind four bytes of length): of two in eight the answer never arrives, so that the repetition of
    // kafkajs fails as well, and the send as a whole.
    socket.write = ((...args: Parameters<Socket['write']>) => {
      const [data] = args;
      if (Buffer.isBuffer(data) && data.length > 6 && data.readInt16BE(4) === 0) {
        produced += 1;
        if (produced % 8 < 2) {
          swallowed += 1;
          socket.removeAllListeners('data');
          socket.once('data', () => socket.destroy(new Error('connection reset')));
        }
      }
      return write(...args);
    }) as Socket['write'];
    return socket;
  };
  const kafka = new Kafka({ brokers: stackUrls().kafkaBrokers.split(','), clientId: 'answers lost', logLevel: logLevel.NOTHING, retry: { retries: 1, initialRetryTime: 20 }, socketFactory: swallow });
  const relay = await world.startRelay({ producer: createProducer(kafka) });
  const writers = writing(context, world);
  await until('twelve answers were lost', () => swallowed >= 12 && relay.waiting.length >= 4, { timeoutMs: 50_000 });
  await writers.stop();
  await world.drained();
  expect(await world.checkTopics()).toBeGreaterThan(0);
  expect(relay.fatal).toEqual([]);
});

test('PostgreSQL restarted with -m immediate while rows are published: nothing lost, order kept', async (context) => {
  const server = await privately(context, startPrivatePostgres());
  const world = await createOutboxWorld(context, { serverUrl: server.url });
  await world.backlog(40_000, 100);
  const relay = await world.startRelay();
  await until('it works', () => relay.published > 5_000);
  await server.restart('immediate');
  await world.drained();
  await world.checkTopics();
  expect(relay.fatal).toEqual([]);
  expect(relay.waiting.length).toBeGreaterThan(0);
});
