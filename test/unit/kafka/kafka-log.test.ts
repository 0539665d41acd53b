import { logLevel, type LogEntry } from 'kafkajs';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { pinoLogCreator } from '../../../src/platform/kafka/kafka-log.ts';

/** Protects: nobody is woken by an error that kafkajs retries by itself, and no real one is hidden. */
function said(level: logLevel, message: unknown, error?: string): Record<string, unknown> {
  const lines: string[] = [];
  const logger = pino({ level: 'trace', formatters: { level: (label) => ({ level: label }) } }, { write: (line: string) => void lines.push(line) });
  pinoLogCreator(logger)(logLevel.DEBUG)({ namespace: 'Connection', level, label: '', log: { timestamp: '', logger: 'kafkajs', message, ...(error === undefined ? {} : { error }) } as unknown as LogEntry['log'] });
  return JSON.parse(lines[0] ?? '{}') as Record<string, unknown>;
}

test.each([
  ['Response GroupCoordinator(key: 10, version: 2)', 'The group coordinator is not available', 'debug'],
  ['Response JoinGroup(key: 11, version: 5)', 'The coordinator is loading and hence can\'t process requests for this group', 'debug'],
  ['Response Heartbeat(key: 12, version: 3)', 'The group is rebalancing, so a rejoin is needed', 'debug'],
  ['Response Metadata(key: 3, version: 6)', 'There is no leader for this topic-partition as we are in the middle of a leadership election', 'debug'],
  ['Connection error: connect ECONNREFUSED 127.0.0.1:9092', undefined, 'error'],
  ['Response Produce(key: 0, version: 7)', 'Messages are rejected since there are fewer in-sync replicas than required', 'error'],
  ['Offset out of range, resetting to default offset', undefined, 'error'],
])('ERROR %s (%s) is logged as %s', (message, error, level) => {
  expect(said(logLevel.ERROR, message, error)).toMatchObject({ level, msg: message, part: 'kafkajs.Connection' });
});

test('levels keep their meaning, and an Error for a message is read as text', () => {
  expect(said(logLevel.WARN, 'careful')['level']).toBe('warn');
  expect(said(logLevel.INFO, 'Consumer has joined the group')['level']).toBe('debug');
  expect(said(logLevel.DEBUG, 'Request')['level']).toBe('trace');
  expect(said(logLevel.ERROR, new Error('broken'))).toMatchObject({ level: 'error', msg: 'Error: broken' });
});
