/**
 * What each SQLSTATE, driver kind and Prisma code means for whoever holds the transaction. Closed tables: what is not here is
 * `unknown`, and the unknown stops the process loudly.
 *
 * - `conflict`: another transaction was in the way; the same one may succeed now.
 * - `timeout`: it took longer than it may; smaller may succeed.
 * - `unavailable`: the database cannot serve now; wait, then try the same again. Never the event's fault.
 * - `duplicate`: a unique key is taken.
 * - `data`: these values cannot be written; repeating is useless, bisecting finds the event.
 * - `schema`: the database, its rights or this connection are not what the program needs; every event would fail. Stop loudly.
 */
export type FailureKind = 'conflict' | 'timeout' | 'unavailable' | 'duplicate' | 'data' | 'schema' | 'unknown';

/** Whole SQLSTATEs first, ... */
const STATES: Readonly<Record<string, FailureKind>> = {
  '40000': 'conflict',
  '40001': 'conflict', // serialization failure
  '40P01': 'conflict', // deadlock
  '40003': 'unavailable', // statement completion unknown
  // Lock timeout: a lane held by a frozen instance, which the server ends after its idle-in-transaction timeout. To wait is
  // right; it is not a conflict, because a retry at once would only queue again and then burn the three retries.
  '55P03': 'unavailable',
  '57014': 'timeout', // statement timeout, or an operator's pg_cancel_backend
  '25P04': 'timeout', // transaction_timeout (PostgreSQL 17)
  '25P03': 'unavailable', // idle-in-transaction timeout: it was us who stood still, not the event
  '25006': 'unavailable', // read-only: we are connected to a standby while a failover is under way
  '57P01': 'unavailable', // shut down by an operator
  '57P02': 'unavailable', // crash of another backend
  '57P03': 'unavailable', // starting up
  '57P04': 'schema', // database dropped
  '57P05': 'unavailable', // idle session timeout
  '23505': 'duplicate',
  '21000': 'data', // one key twice in one upsert
  '44000': 'data',
  '54000': 'data', // a value too large for its index
  '08P01': 'unknown', // protocol violation: ours, for example 65,536 parameters
  // "cached plan must not change result type": a named statement of a connection older than the migration. Only new
  // connections cure it, so a restart does.
  '0A000': 'schema',
  '3D000': 'schema', // no such database
  '3F000': 'schema', // no such schema
};

/** ... then their classes. */
const CLASSES: Readonly<Record<string, FailureKind>> = {
  '08': 'unavailable',
  '22': 'data',
  '23': 'data',
  // Wrong password, no right to connect: not the event's fault, and waiting does not cure it. A restart does when the secret
  // was rotated, because it reads the secret again: stop loudly rather than look alive.
  '28': 'schema',
  '42': 'schema',
  '53': 'unavailable', // disk full, out of memory, too many connections
  '58': 'unavailable', // input/output error of the server
  P0: 'data', // RAISE in a function or trigger
};

export function kindOfState(state: string): FailureKind {
  return STATES[state] ?? CLASSES[state.slice(0, 2)] ?? 'unknown';
}

/** Kinds of adapter-pg that come without a SQLSTATE. */
export const UNAVAILABLE_KINDS: ReadonlySet<string> = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);

/** Prisma's codes, needed only where no SQLSTATE came along. */
const PRISMA_CODES: Readonly<Record<string, FailureKind>> = {
  P1000: 'schema', // authentication
  P1001: 'unavailable',
  P1002: 'unavailable',
  P1003: 'schema', // no such database
  P1008: 'unavailable',
  P1010: 'schema', // access denied
  P1011: 'schema', // TLS
  P1017: 'unavailable',
  P2000: 'data',
  P2002: 'duplicate',
  P2003: 'data',
  P2004: 'data',
  P2011: 'data',
  P2020: 'data',
  P2021: 'schema',
  P2022: 'schema',
  P2024: 'unavailable',
  P2034: 'conflict',
  P2037: 'unavailable',
};

export function kindOfPrismaCode(code: string): FailureKind {
  return PRISMA_CODES[code] ?? 'unknown';
}

/** Node's codes for a connection that cannot be made or broke. */
export const SOCKET_CODES: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'ENOENT']);

/** Sentences of pg and pg-pool that carry no code at all. */
export const LOST_CONNECTION = /^(Connection terminated|Client has encountered a connection error and is not queryable|Client was closed and is not queryable|timeout exceeded when trying to connect|timeout expired|Query read timeout|Cannot use a pool after calling end)/;
