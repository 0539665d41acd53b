import { processEnvironment, readConfig } from '../../src/config.ts';
import { createKafka, createProducer, type OutgoingMessage } from '../../src/platform/kafka/index.ts';
import { createLogger } from '../../src/platform/log.ts';
import { LIBRARY_TABLE, loadLibrary } from './library.ts';

/** The library with our producer behind it; what it hands over at once goes out in one request. */
const config = readConfig(processEnvironment());
const producer = createProducer(createKafka(config.kafka, createLogger(config.log)));
const { initializePollingMessageListener, getDisabledLogger } = loadLibrary();

let waiting: { message: OutgoingMessage; sent: () => void; failed: (error: unknown) => void }[] = [];
function flush(): void {
  const batch = waiting;
  waiting = [];
  producer.sendBatch(batch.map(({ message }) => message)).then(
    () => batch.forEach(({ sent }) => sent()),
    (error: unknown) => batch.forEach(({ failed }) => failed(error)),
  );
}

const [shutdown] = initializePollingMessageListener(
  {
    outboxOrInbox: 'outbox',
    dbListenerConfig: { connectionString: config.postgres.url, max: 20 },
    settings: {
      dbSchema: LIBRARY_TABLE.schema,
      dbTable: LIBRARY_TABLE.table,
      nextMessagesFunctionSchema: LIBRARY_TABLE.schema,
      nextMessagesFunctionName: LIBRARY_TABLE.nextMessagesName,
      nextMessagesBatchSize: 200,
      nextMessagesPollingIntervalInMs: 5,
      enableMaxAttemptsProtection: false,
      enablePoisonousMessageProtection: false,
    },
  },
  {
    handle: ({ aggregateType: topic, aggregateId: key, payload }) =>
      new Promise<void>((sent, failed) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ message: { topic, key, value: Buffer.from(payload.text) }, sent, failed });
      }),
  },
  getDisabledLogger(),
);
process.once('SIGTERM', () => void shutdown().finally(() => process.exit(0)));
