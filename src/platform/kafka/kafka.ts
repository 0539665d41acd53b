import kafkajs, { Kafka, type SASLOptions } from 'kafkajs';
import type { KafkaConfig } from '../../config.ts';
import { BrxError, messageOf } from '../../errors.ts';
import type { Logger } from '../log.ts';
import { registerCodecs } from './compression.ts';
import { kafkajsLogLevel, pinoLogCreator } from './kafka-log.ts';
import { patchKafkajsTimerLoop } from './timer-patch.ts';

const CONNECTION_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 30_000;
const INITIAL_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

/** A running service outlasts a rolling restart of the brokers (kafka-consumers.md section 1.11, number 12). */
export const SERVICE_RETRIES = 12;
/** A command at a terminal says within a few seconds that nobody answers. */
export const COMMAND_RETRIES = 3;

/**
 * The one way to a kafkajs client. Consumers, producers and admins made from it share its retry settings, its logger and the
 * codecs, and have no timer loop.
 */
export function createKafka(config: KafkaConfig, logger: Logger, options: { retries?: number } = {}): Kafka {
  patchKafkajsTimerLoop();
  registerCodecs(kafkajs.CompressionCodecs);
  return new Kafka({
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
}

/** What kafkajs threw, as BRX_KAFKA_UNAVAILABLE. */
export function kafkaUnavailable(error: unknown, doing: string, brokers?: readonly string[]): BrxError {
  if (error instanceof BrxError) return error;
  const which = brokers === undefined ? 'the brokers of BRX_KAFKA_BROKERS are' : `a broker of BRX_KAFKA_BROKERS (${brokers.join(', ')}) is`;
  return new BrxError('BRX_KAFKA_UNAVAILABLE', `Kafka did not let us ${doing}: ${messageOf(error)}`, { cause: error, remedy: `see that ${which} up and reachable from here` });
}
