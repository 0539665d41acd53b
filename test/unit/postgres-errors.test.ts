import { describe, expect, test } from 'vitest';
import { BrxError } from '../../src/errors.ts';
import { kindOfState } from '../../src/platform/postgres/error-tables.ts';
import { classify, DatabaseFailure, recognise, toBrxError, type FailureKind } from '../../src/platform/postgres/index.ts';

/** The classifier on recorded shapes (write-path.md 8.1; provoked for real by test/integration/postgres/error-map.test.ts). */
interface Cause {
  kind?: string;
  originalCode?: string;
  originalMessage?: string;
  code?: string;
  constraint?: { index?: string; fields?: string[] };
  [more: string]: unknown;
}

const error = (name: string, message: string, properties: object = {}): Error => Object.assign(new Error(message), { name }, properties);
const known = (code: string, meta?: object): Error => error('PrismaClientKnownRequestError', `\nInvalid \`prisma.$executeRaw()\` invocation:\n\n\nRaw query failed.`, { code, meta });
const wrapped = (code: string, cause: Cause): Error => known(code, { driverAdapterError: error('DriverAdapterError', cause.kind ?? '', { cause }) });
const bare = (cause: Cause): Error => error('DriverAdapterError', cause.kind ?? '', { cause });
const driver = (state: string): Error => error('error', 'said the server', { code: state, severity: 'ERROR' });

describe('every way an error comes in', () => {
  const postgresKind = (state: string): Cause => ({ originalCode: state, originalMessage: 'said the server', kind: 'postgres', code: state, severity: 'ERROR' });
  test.each<[what: string, error: Error, kind: FailureKind, state?: string]>([
    ['deadlock, raw', wrapped('P2010', { originalCode: '40P01', originalMessage: 'deadlock detected', kind: 'TransactionWriteConflict' }), 'conflict', '40P01'],
    ['deadlock, model call', wrapped('P2034', { originalCode: '40P01', originalMessage: 'deadlock detected', kind: 'TransactionWriteConflict' }), 'conflict', '40P01'],
    ['conflict without its cause', known('P2034'), 'conflict'],
    ['serialization at COMMIT', bare({ originalCode: '40001', originalMessage: 'x', kind: 'TransactionWriteConflict' }), 'conflict', '40001'],
    ['unique, raw', wrapped('P2010', { originalCode: '23505', kind: 'UniqueConstraintViolation', constraint: { index: 'stock_ledger_pkey' } }), 'duplicate', '23505'],
    ['unique, model call without its cause', known('P2002', { modelName: 'InventoryItem' }), 'duplicate'],
    ['statement timeout', wrapped('P2039', postgresKind('57014')), 'timeout', '57014'],
    ['lock timeout', wrapped('P2010', postgresKind('55P03')), 'unavailable', '55P03'],
    ['state only as code', wrapped('P2010', { kind: 'postgres', code: '57014' }), 'timeout', '57014'],
    ['adapter without a code', wrapped('P2010', { kind: 'postgres', code: 'N/A', message: 'hm' }), 'unknown'],
    ['transaction timeout', known('P2028', { operation: 'query', timeout: 500, timeTaken: 501 }), 'timeout'],
    ['transaction timeout at COMMIT', known('P2028', { operation: 'commit', timeout: 500, timeTaken: 501 }), 'timeout'],
    ['maxWait', error('PrismaClientKnownRequestError', 'Transaction API error: Unable to start a transaction in the given time.', { code: 'P2028', meta: {} }), 'unavailable'],
    ['closed transaction used again', known('P2028', { operation: 'query' }), 'unknown'],
    ['pool exhausted', new Error('timeout exceeded when trying to connect'), 'unavailable'],
    ['connecting took too long', new Error('Connection terminated due to connection timeout'), 'unavailable'],
    ['too many connections', wrapped('P2037', { originalCode: '53300', kind: 'TooManyConnections' }), 'unavailable', '53300'],
    ['server down, raw', wrapped('P2010', { kind: 'DatabaseNotReachable', host: '127.0.0.1', port: 1 }), 'unavailable'],
    ['server down, model call', wrapped('P1001', { kind: 'DatabaseNotReachable' }), 'unavailable'],
    ['connection reset', wrapped('P2010', { kind: 'ConnectionClosed' }), 'unavailable'],
    ['connecting timed out', wrapped('P2010', { kind: 'SocketTimeout' }), 'unavailable'],
    ['TLS refused', wrapped('P1011', { kind: 'TlsConnectionError', reason: 'self-signed certificate' }), 'schema'],
    ['lost while idle in the transaction', new Error('Client has encountered a connection error and is not queryable'), 'unavailable'],
    ['lost while waiting for an answer', new Error('Connection terminated unexpectedly'), 'unavailable'],
    ['closed by us', new Error('Client was closed and is not queryable'), 'unavailable'],
    ['pool closed', new Error('Cannot use a pool after calling end on the pool'), 'unavailable'],
    ['both addresses of localhost refused', Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' }), 'unavailable'],
    ['socket, not known to the adapter', Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH', syscall: 'connect', errno: -113 }), 'unavailable'],
    ['PostgreSQL’s error from pg itself', driver('57P01'), 'unavailable', '57P01'],
    ['could not start Prisma', error('PrismaClientInitializationError', 'x', { errorCode: 'P1001' }), 'unavailable'],
    ['a wrong call of Prisma', error('PrismaClientValidationError', 'Argument `userId` is missing.'), 'unknown'],
    ['a code no table knows', known('P2025'), 'unknown'],
  ])('%s', (_what, thrown, kind, state) => {
    const failure = recognise(thrown);
    expect(failure).toBeInstanceOf(DatabaseFailure);
    expect({ kind: failure?.kind, state: failure?.state, unknown: failure?.outcomeUnknown }).toEqual({ kind, state, unknown: false });
    expect(failure?.cause).toBe(thrown);
  });

  test('what is no database error is not taken for one', () => {
    const others = [new TypeError('x is not a function'), new Error('anything'), new BrxError('BRX_REFUSED', 'no'), Object.assign(new Error('no file'), { code: 'ERR_INVALID_ARG_TYPE' }), 'text', undefined];
    expect(others.map((other) => recognise(other))).toEqual(others.map(() => undefined));
    expect(others.map((other) => classify(other).kind)).toEqual(others.map(() => 'unknown'));
  });

  test('a failure stays the failure it is', () => {
    const failure = classify(driver('40P01'));
    expect(recognise(failure)).toBe(failure);
  });

  test('the message is PostgreSQL’s sentence, the constraint its name', () => {
    expect(classify(wrapped('P2010', { originalCode: '23514', originalMessage: 'new row for relation "t" violates check constraint "t_n"', kind: 'postgres' }))).toMatchObject({
      message: 'new row for relation "t" violates check constraint "t_n"',
      constraint: 't_n',
    });
    expect(classify(wrapped('P2010', { originalCode: '23505', kind: 'UniqueConstraintViolation', constraint: { fields: ['a', 'b'] } })).constraint).toBe('a, b');
    expect(classify(known('P2010')).message).toBe('Raw query failed.');
  });
});

test.each<[kind: FailureKind, states: string[]]>([
  ['conflict', ['40000', '40001', '40P01']],
  ['timeout', ['57014', '25P04']],
  ['unavailable', ['08000', '08001', '08003', '08004', '08006', '08007', '25006', '25P03', '40003', '53000', '53100', '53200', '53300', '53400', '55P03', '57P01', '57P02', '57P03', '57P05', '58000', '58030']],
  ['duplicate', ['23505']],
  ['data', ['21000', '22000', '22001', '22003', '22007', '22008', '22012', '22021', '22P02', '22P05', '23000', '23001', '23502', '23503', '23514', '23P01', '44000', '54000', 'P0001', 'P0002', 'P0004']],
  ['schema', ['0A000', '28000', '28P01', '3D000', '3F000', '42501', '42601', '42703', '42804', '42883', '42P01', '42P10', '57P04']],
  // A protocol error, a use of a failed transaction, a damaged database: ours or nobody's to wait for.
  ['unknown', ['08P01', '25P01', '25P02', '26000', '34000', '40002', '55000', '57000', 'F0001', 'XX000', 'XX001', 'XX002']],
])('SQLSTATEs of kind %s', (kind, states) => {
  for (const state of states) expect(`${state} ${kindOfState(state)}`).toBe(`${state} ${kind}`);
});

test.each<[state: string, code: string, retryable: boolean]>([
  ['57P01', 'BRX_DATABASE_UNAVAILABLE', true],
  ['57014', 'BRX_DATABASE_TIMEOUT', true],
  ['40P01', 'BRX_DATABASE_CONFLICT', true],
  ['42P01', 'BRX_DATABASE_SCHEMA', false],
  ['23505', 'BRX_INTERNAL', false],
  ['22003', 'BRX_INTERNAL', false],
  ['XX000', 'BRX_INTERNAL', false],
])('%s is %s to a command', (state, code, retryable) => {
  expect(toBrxError(driver(state))).toMatchObject({ code, retryable, message: expect.stringContaining(`said the server (SQLSTATE ${state})`) as string });
  const known = new BrxError('BRX_REFUSED', 'no');
  expect(toBrxError(known)).toBe(known);
});
