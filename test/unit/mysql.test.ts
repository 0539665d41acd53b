import { describe, expect, test } from 'vitest';
import { mysqlFailure, toMysqlError } from '../../src/platform/mysql/errors.ts';
import { isLocal, readMysqlUrl } from '../../src/platform/mysql/url.ts';
import { BrxError } from '../../src/errors.ts';

/** URLs of MySQL and the shapes of mysql2's errors (write-path.md section 10). */
const read = (url: string) => readMysqlUrl(url, 'BRX_MYSQL_URL');

describe('a URL', () => {
  test('is read in all its parts', () => {
    expect(read('mysql://u%40x:p%3A%2F%2C@db.example:3307/shop')).toEqual({ host: 'db.example', port: 3307, user: 'u@x', password: 'p:/,', database: 'shop', tls: undefined });
    expect(read('mysql://u@[::1]/shop?tls=verify')).toMatchObject({ host: '::1', port: 3306, password: '', tls: { rejectUnauthorized: true } });
    expect(read('mysql://u@h/shop?tls=required').tls).toEqual({ rejectUnauthorized: false });
  });

  test.each([
    ['mysql://u:hush@h/d?connectionLimit=100&multipleStatements=true', /must not have the parameters connectionLimit, multipleStatements/],
    ['mysql://u:hush@h/d?ssl=true', /must not have the parameter ssl/],
    ['mysql://u:hush@h/d?tls=yes', /none of off, required and verify/],
    ['mysql://u:hush@h', /names no database/],
    ['mysql://u:hush@h/', /names no database/],
    ['mysql://u:hush@h/a/b', /names no database/],
    ['mysql://h/d', /has no user/],
    ['mysql://u:hu%sh@h/d', /not percent-encoded/],
  ])('%s is refused without its password', (url, problem) => {
    const error = (() => {
      try {
        return read(url);
      } catch (thrown) {
        return thrown as BrxError;
      }
    })() as BrxError;
    expect(error).toMatchObject({ code: 'BRX_CONFIG', message: expect.stringMatching(problem) as string });
    expect(`${error.message}${error.remedy}`).not.toMatch(/hush|hu%sh/);
  });

  test('of this machine is one that cannot be elsewhere', () => {
    const local = (host: string): boolean => isLocal({ host });
    expect(['localhost', '127.0.0.1', '127.8.9.1', '::1'].map(local)).toEqual([true, true, true, true]);
    expect(['127.0.0.1.example.com', 'db', '10.0.0.1', '0.0.0.0'].map(local)).toEqual([false, false, false, false]);
  });
});

describe('an error', () => {
  const shaped = (message: string, parts: object): Error => Object.assign(new Error(message), parts);

  test.each([
    ['unavailable', shaped('connect ECONNREFUSED', { code: 'ECONNREFUSED', errno: -111, fatal: true })],
    ['unavailable', shaped('Connection lost', { code: 'PROTOCOL_CONNECTION_LOST', fatal: true })],
    ['unavailable', shaped('Too many connections', { code: 'ER_CON_COUNT_ERROR', errno: 1040 })],
    ['unavailable', shaped('connect ETIMEDOUT', { code: 'ETIMEDOUT', errorno: 'ETIMEDOUT', fatal: true })],
    ['unavailable', shaped("Can't add new command when connection is in closed state", { fatal: true })],
    ['unavailable', shaped('Pool is closed.', {})],
    ['unavailable', shaped('Connection was killed', { errno: 1927 })],
    ['timeout', shaped('Query inactivity timeout', { code: 'PROTOCOL_SEQUENCE_TIMEOUT', errorno: 'PROTOCOL_SEQUENCE_TIMEOUT' })],
    ['timeout', shaped('max_statement_time exceeded', { errno: 1969 })],
    ['timeout', shaped('Lock wait timeout exceeded', { code: 'ER_LOCK_WAIT_TIMEOUT', errno: 1205 })],
    ['refused', shaped('Access denied', { code: 'ER_ACCESS_DENIED_ERROR', errno: 1045, fatal: true })],
    ['refused', shaped("Table 'x' doesn't exist", { code: 'ER_NO_SUCH_TABLE', errno: 1146 })],
    ['unknown', shaped('You have an error in your SQL syntax', { code: 'ER_PARSE_ERROR', errno: 1064 })],
  ] as const)('is %s: %s', (kind, error) => {
    expect(mysqlFailure(error)).toBe(kind);
  });

  test('becomes one that says whether to wait', () => {
    expect(toMysqlError(shaped('gone', { code: 'ECONNRESET' }), 'primary (h)')).toMatchObject({ code: 'BRX_MYSQL_UNAVAILABLE', retryable: true, message: 'MySQL primary (h): gone' });
    expect(toMysqlError(shaped('slow', { code: 'PROTOCOL_SEQUENCE_TIMEOUT' }), 'x')).toMatchObject({ code: 'BRX_MYSQL_TIMEOUT', retryable: true });
    expect(toMysqlError(shaped('no', { errno: 1146 }), 'x')).toMatchObject({ code: 'BRX_MYSQL_REFUSED', retryable: false });
    expect(toMysqlError(shaped('?', { errno: 1064 }), 'x')).toMatchObject({ code: 'BRX_INTERNAL', retryable: false });
    const ours = new BrxError('BRX_REFUSED', 'as it is');
    expect(toMysqlError(ours, 'x')).toBe(ours);
  });
});
