import { BrxError, messageOf } from '../../errors.ts';
import { kindOfPrismaCode, kindOfState, LOST_CONNECTION, SOCKET_CODES, UNAVAILABLE_KINDS, type FailureKind } from './error-tables.ts';

export type { FailureKind } from './error-tables.ts';

/**
 * What a database error means, whatever shape it came in (Prisma wraps one PostgreSQL error in five ways, and some not at all).
 * `message` is PostgreSQL's own sentence, never Prisma's page of it; `cause` is what was thrown.
 */
export class DatabaseFailure extends Error {
  override readonly name = 'DatabaseFailure';
  readonly kind: FailureKind;
  /** SQLSTATE, when the server said one. */
  readonly state: string | undefined;
  /** The constraint that refused, for `duplicate` and some of `data`. */
  readonly constraint: string | undefined;
  /** COMMIT was on its way when the connection went: it may have taken effect. Safe to repeat only because of deduplication. */
  readonly outcomeUnknown: boolean;

  constructor(parts: { kind: FailureKind; state: string | undefined; message: string; constraint?: string | undefined; outcomeUnknown?: boolean; cause: unknown }) {
    super(parts.message, { cause: parts.cause });
    this.kind = parts.kind;
    this.state = parts.state;
    this.constraint = parts.constraint;
    this.outcomeUnknown = parts.outcomeUnknown ?? false;
  }
}

/** As `recognise`, with `unknown` for what no table knows. */
export function classify(error: unknown): DatabaseFailure {
  return recognise(error) ?? new DatabaseFailure({ kind: 'unknown', state: undefined, message: messageOf(error), cause: error });
}

/**
 * The failure behind an error of Prisma, of pg or of the socket; undefined for an error that is none of theirs (a BrxError, a
 * TypeError). Decides by SQLSTATE first, then by the driver's kind, then by Prisma's code, last by message: P2010 alone is everything.
 */
export function recognise(error: unknown): DatabaseFailure | undefined {
  if (error instanceof DatabaseFailure) return error;
  if (!(error instanceof Error) || error instanceof BrxError) return undefined;
  const driver = driverCause(error);
  const state = stateOf(error, driver);
  const message = text(driver['originalMessage']) ?? text(driver['message']) ?? lastLine(error.message);
  const found = (kind: FailureKind): DatabaseFailure => new DatabaseFailure({ kind, state, message, constraint: constraintOf(error, driver, message), cause: error });

  if (state !== undefined) return found(kindOfState(state));
  const driverKind = text(driver['kind']);
  if (driverKind !== undefined && UNAVAILABLE_KINDS.has(driverKind)) return found('unavailable');
  if (driverKind === 'TlsConnectionError') return found('schema'); // see 28* in error-tables.ts
  const code = text(field(error, 'code')) ?? text(field(error, 'errorCode'));
  if (code === 'P2028') return found(kindOfTransactionApiError(error));
  if (code !== undefined && /^P\d{4}$/.test(code)) return found(kindOfPrismaCode(code));
  if (code !== undefined && SOCKET_CODES.has(code)) return found('unavailable');
  if (LOST_CONNECTION.test(error.message)) return found('unavailable');
  return error.name.startsWith('PrismaClient') || error.name === 'DriverAdapterError' ? found('unknown') : undefined;
}

/** For whoever cannot wait or bisect (a command, a health check): the failure as an error with an exit code and a remedy. */
export function toBrxError(error: unknown): BrxError {
  if (error instanceof BrxError) return error;
  const failure = classify(error);
  const message = failure.state === undefined ? failure.message : `${failure.message} (SQLSTATE ${failure.state})`;
  switch (failure.kind) {
    case 'unavailable':
      return new BrxError('BRX_DATABASE_UNAVAILABLE', `PostgreSQL does not answer: ${message}`, { cause: error, remedy: 'check that it runs and that BRX_DATABASE_URL points at it; `npm run stack:status` for the local one' });
    case 'timeout':
      return new BrxError('BRX_DATABASE_TIMEOUT', `PostgreSQL took too long: ${message}`, { cause: error, remedy: 'look for what is slow in pg_stat_activity; the limits are BRX_DATABASE_STATEMENT_TIMEOUT_MS and BRX_DATABASE_TRANSACTION_TIMEOUT_MS' });
    case 'conflict':
      return new BrxError('BRX_DATABASE_CONFLICT', `transactions got in each other’s way: ${message}`, { cause: error, remedy: 'try again' });
    case 'schema':
      return new BrxError('BRX_DATABASE_SCHEMA', `the database is not what this version needs: ${message}`, { cause: error, remedy: 'run `brx-sync migrate`; if that says it is up to date, check the user and the database of BRX_DATABASE_URL' });
    case 'duplicate':
    case 'data':
    case 'unknown':
      return new BrxError('BRX_INTERNAL', `PostgreSQL refused: ${message}`, { cause: error });
  }
}

/** P2028 is three things: timed out (`meta.timeout`), no connection within maxWait (no meta), a closed transaction used again (a bug). */
function kindOfTransactionApiError(error: Error): FailureKind {
  const meta = field(error, 'meta');
  if (field(meta, 'timeout') !== undefined) return 'timeout';
  return field(meta, 'operation') === undefined && /unable to start a transaction/i.test(error.message) ? 'unavailable' : 'unknown';
}

/** adapter-pg's description of the error: under Prisma's `meta` for statements and model calls, bare for BEGIN and COMMIT. */
function driverCause(error: Error): Readonly<Record<string, unknown>> {
  const wrapped = field(field(field(error, 'meta'), 'driverAdapterError'), 'cause');
  const cause = wrapped ?? (error.name === 'DriverAdapterError' ? error.cause : undefined);
  return isRecord(cause) ? cause : {};
}

/** SQLSTATE: five digits or capitals. pg's own errors carry it as `code` next to `severity`; Prisma's `code` is P + 4 digits and no state. */
function stateOf(error: Error, driver: Readonly<Record<string, unknown>>): string | undefined {
  const candidate = text(driver['originalCode']) ?? text(driver['code']) ?? (field(error, 'severity') === undefined ? undefined : text(field(error, 'code')));
  return candidate !== undefined && /^[0-9A-Z]{5}$/.test(candidate) ? candidate : undefined;
}

function constraintOf(error: Error, driver: Readonly<Record<string, unknown>>, message: string): string | undefined {
  const constraint = driver['constraint'];
  const fields = field(constraint, 'fields');
  return (
    text(field(constraint, 'index')) ??
    text(field(error, 'constraint')) ??
    /constraint "([^"]+)"/.exec(message)?.[1] ?? // Prisma passes no name on for CHECKs; the sentence has it, in English (lc_messages)
    (Array.isArray(fields) ? fields.join(', ') : undefined)
  );
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;
const field = (value: unknown, name: string): unknown => (isRecord(value) ? value[name] : undefined);
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const lastLine = (message: string): string => message.trimEnd().split('\n').at(-1)?.trim() ?? message;
