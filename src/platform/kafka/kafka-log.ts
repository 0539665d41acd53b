import { logLevel, type logCreator } from 'kafkajs';
import type { Logger } from '../log.ts';

/**
 * kafkajs logs an ERROR for every answer with an error code, also for those it retries by itself a moment later (a group
 * coordinator that is still loading, a leader being elected, a rebalance). Those are `debug` here: what does not go away is
 * thrown or ends in a CRASH event, and is reported there.
 */
const PASSING = [
  'coordinator is loading',
  'coordinator is not available',
  'not the correct coordinator',
  'rebalanc',
  'leadership election',
  'not the leader',
  'does not host this topic-partition',
  'coordinator is not aware of this member',
  'Specified group generation id is not valid',
  'needs to have a valid member id',
];

/** Said once a producer, although we throw a producer away after a final rejection (producer.ts), which is what it asks for. */
const SETTLED = ['Limiting retries for the idempotent producer'];

export function kafkajsLogLevel(logger: Logger): logLevel {
  if (logger.isLevelEnabled('debug')) return logLevel.DEBUG;
  return logger.isLevelEnabled('warn') ? logLevel.INFO : logLevel.ERROR;
}

export function pinoLogCreator(logger: Logger): logCreator {
  return () => (entry) => {
    const { message, timestamp: _timestamp, logger: _logger, ...details } = entry.log;
    const text = String(message); // kafkajs hands in an Error here and there
    const fields = { part: `kafkajs.${entry.namespace}`, ...details };
    const said = `${text} ${typeof details['error'] === 'string' ? details['error'] : ''}`;
    if (PASSING.some((part) => said.includes(part)) || SETTLED.some((part) => said.includes(part))) return logger.debug(fields, text);
    switch (entry.level) {
      case logLevel.ERROR:
        return logger.error(fields, text);
      case logLevel.WARN:
        return logger.warn(fields, text);
      case logLevel.INFO:
        return logger.debug(fields, text); // "consumer has joined the group" and the like: our own events say it better
      case logLevel.DEBUG:
      case logLevel.NOTHING:
        return logger.trace(fields, text);
    }
  };
}
