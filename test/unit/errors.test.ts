import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BrxError, ERROR_CODES, messageOf, type ErrorCode } from '../../src/errors.ts';

/** The closed list of codes is what scripts and runbooks rely on. */
const root = new URL('../..', import.meta.url).pathname;
const sources = ['src', 'stack', 'demo', 'bench']
  .flatMap((folder) => readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`))
  .filter((path) => path.endsWith('.ts') && path !== 'src/errors.ts' && !path.includes('/generated/'))
  .map((path) => readFileSync(`${root}/${path}`, 'utf8'))
  .join('\n');
const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe('codes', () => {
  test.each(codes)('%s is thrown somewhere, and says what it means', (code) => {
    expect(sources.includes(`'${code}'`), `nobody throws ${code}: take it off the list`).toBe(true);
    expect(ERROR_CODES[code].meaning.length).toBeGreaterThan(10);
  });

  test('exit codes tell apart what a supervisor must tell apart', () => {
    for (const { exit } of Object.values(ERROR_CODES)) expect([1, 2, 4, 65, 69, 70, 75, 78]).toContain(exit);
    expect(ERROR_CODES.BRX_USAGE.exit).toBe(2);
    expect(ERROR_CODES.BRX_REFUSED.exit).toBe(4);
    expect(ERROR_CODES.BRX_CONFIG.exit).toBe(78);
    // sysexits: 69 and 75 say "try again later", so exactly those codes are retryable; the local stack is the developer's own to start.
    for (const code of codes) expect(ERROR_CODES[code].retryable, code).toBe([69, 75].includes(ERROR_CODES[code].exit) && code !== 'BRX_STACK');
  });

  test('nobody throws an error of their own kind with a BRX_ code that is not in the list', () => {
    const used = new Set([...sources.matchAll(/new BrxError\(\s*'(\w+)'/g)].map((match) => match[1]));
    expect([...used].filter((code) => !codes.includes(code as ErrorCode))).toEqual([]);
  });
});

describe('BrxError', () => {
  test('carries what happened, what to do, the cause and the exit code', () => {
    const cause = new Error('ECONNREFUSED');
    const error = new BrxError('BRX_KAFKA_UNAVAILABLE', 'Kafka does not answer', { cause, remedy: 'start it' });
    expect(error).toMatchObject({ name: 'BrxError', code: 'BRX_KAFKA_UNAVAILABLE', message: 'Kafka does not answer', remedy: 'start it', cause, retryable: true, exitCode: 69 });
  });

  test('has no cause when none was given: loggers print an empty one', () => {
    expect('cause' in new BrxError('BRX_USAGE', 'x')).toBe(false);
  });
});

test('messageOf reads anything that is thrown', () => {
  expect([new Error('a'), 'b', 5, undefined, null].map(messageOf)).toEqual(['a', 'b', '5', 'undefined', 'null']);
});
