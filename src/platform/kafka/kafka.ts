import kafkajs, { Kafka, type Admin, type SASLOptions } from 'kafkajs';
import type { KafkaConfig } from '../../config.ts';
import { BrxError, messageOf } from '../../errors.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { registerCodecs } from './compression.ts';
import { kafkajsLogLevel, pinoLogCreator } from './kafka-log.ts';
import { quickSetOffsets } from './set-offsets.ts';
import { patchKafkajsTimerLoop } from './timer-patch.ts';

const CONNECTION_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 30_000;
const INITIAL_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

/** A running service outlasts a rolling restart of the brokers (kafka-consumers.md section 1.11, number 12). */
export const SERVICE_RETRIES = 12;
/** A command at a terminal says within a few seconds that nobody answers. */
export const COMMAND_RETRIES = 3;

// kafkajs has one table of codecs in a process, for all of its clients.
registerCodecs(kafkajs.CompressionCodecs);

/**
 * The one way to a kafkajs client. Consumers, producers and admins made from it share its retry settings, its logger and the
 * codecs, have no timer loop, and set offsets without a sleep.
 */
export function createKafka(config: KafkaConfig, logger: Logger, options: { retries?: number } = {}): Kafka {
  patchKafkajsTimerLoop();
  const kafka = new Kafka({
    brokers: [...config.brokers],
    clientId: config.clientId,
    ssl: config.ssl,
    ...(config.sasl === undefined ? {} : { sasl: { ...config.sasl } as SASLOptions }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { initialRetryTime: INITIAL_RETRY_MS, maxRetryTime: MAX_RETRY_MS, retries: options.retries ?? SERVICE_RETRIES },
    logLevel: kafkajsLogLevel(logger),
    logCreator: pinoLogCreator(logger),
  });
  const admin = kafka.admin.bind(kafka);
  kafka.admin = (settings) => ({ ...admin(settings), setOffsets: quickSetOffsets(kafka) });
  return kafka;
}

/** What kafkajs threw, as BRX_KAFKA_UNAVAILABLE. */
export function kafkaUnavailable(error: unknown, doing: string, brokers?: readonly string[]): BrxError {
  if (error instanceof BrxError) return error;
  const which = brokers === undefined ? 'the brokers of BRX_KAFKA_BROKERS are' : `a broker of BRX_KAFKA_BROKERS (${brokers.join(', ')}) is`;
  return new BrxError('BRX_KAFKA_UNAVAILABLE', `Kafka did not let us ${doing}: ${messageOf(error)}`, { cause: error, remedy: `see that ${which} up and reachable from here` });
}

/** Hands `use` an admin client, and closes it whatever happens. `doing` is for people: what kafkajs throws is told as BRX_KAFKA_UNAVAILABLE. */
export async function withAdmin<Result>(kafka: Kafka, use: (admin: Admin) => Promise<Result>, doing = 'read topics and offsets'): Promise<Result> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await use(admin);
  } catch (error) {
    throw kafkaUnavailable(error, doing);
  } finally {
    await admin.disconnect();
  }
}

const MOVED = /^(?:NOT_LEADER_FOR_PARTITION|LEADER_NOT_AVAILABLE|UNKNOWN_TOPIC_OR_PARTITION|NOT_COORDINATOR_FOR_GROUP|GROUP_COORDINATOR_NOT_AVAILABLE|GROUP_LOAD_IN_PROGRESS)$/;
const MOVED_ATTEMPTS = 6;
const MOVED_PAUSE_MS = 200;

/**
 * Asks again for some seconds while leaders and coordinators move, as they do when a broker starts or a topic is new: it then says that it is not the one, and kafkajs's
 * admin client passes that on. `anew`: what makes it ask anew who is.
 */
export async function askWhileMoving<Result>(ask: () => Promise<Result>, { clock = systemClock, anew = () => Promise.resolve() }: { readonly clock?: Pick<Clock, 'sleep'>; readonly anew?: () => Promise<void> } = {}): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === MOVED_ATTEMPTS || !MOVED.test(error instanceof Error && 'type' in error ? String(error.type) : '')) throw error;
      await clock.sleep(attempt * MOVED_PAUSE_MS);
      await anew();
    }
  }
}
