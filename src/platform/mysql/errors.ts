import { BrxError, messageOf } from '../../errors.ts';

/** `unavailable`: nobody answers, or no more connections are given; `timeout`: it took too long; `refused`: access or tables; `unknown`: ours. */
export type MysqlFailureKind = 'unavailable' | 'timeout' | 'refused' | 'unknown';

const SOCKET = new Set(['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'PROTOCOL_CONNECTION_LOST', 'HANDSHAKE_NO_SSL_SUPPORT', 'HANDSHAKE_SSL_ERROR']);
/** Too many connections, shutdown, aborted, too many of this user, host blocked, gone, killed (MariaDB). */
const UNAVAILABLE = new Set([1_040, 1_053, 1_080, 1_129, 1_152, 1_203, 1_226, 1_927, 2_006, 2_013, 4_031]);
/** Lock wait, interrupted, MariaDB's max_statement_time, MySQL's max_execution_time. */
const TIMEOUT = new Set([1_205, 1_317, 1_969, 3_024]);
/** Access denied (four ways), no such database, table, column, or a view of such; no password plugin in common. */
const REFUSED = new Set([1_044, 1_045, 1_049, 1_054, 1_142, 1_143, 1_146, 1_227, 1_251, 1_356, 1_698, 2_059, 3_118]);

/** What an error of mysql2 means. Its shapes are in write-path.md section 10: by errno, by code, or by sentence only. */
export function mysqlFailure(error: unknown): MysqlFailureKind {
  const { errno, code, fatal } = error as { errno?: unknown; code?: unknown; fatal?: unknown };
  if (typeof errno === 'number' && errno > 0) {
    if (UNAVAILABLE.has(errno)) return 'unavailable';
    if (TIMEOUT.has(errno)) return 'timeout';
    if (REFUSED.has(errno)) return 'refused';
  }
  if (code === 'PROTOCOL_SEQUENCE_TIMEOUT') return 'timeout';
  if (typeof code === 'string' && SOCKET.has(code)) return 'unavailable';
  if (/closed state|connection lost|Pool is closed/i.test(messageOf(error))) return 'unavailable';
  return fatal === true ? 'unavailable' : 'unknown';
}

/** `server` is what people call it, for example "primary (127.0.0.1:3306/brx)". The user's name and host may be in the message, a password never is. */
export function toMysqlError(error: unknown, server: string): BrxError {
  if (error instanceof BrxError) return error;
  const message = `MySQL ${server}: ${messageOf(error)}`;
  switch (mysqlFailure(error)) {
    case 'unavailable':
      return new BrxError('BRX_MYSQL_UNAVAILABLE', message, { cause: error, remedy: 'see that MySQL runs and that BRX_MYSQL_URL is right' });
    case 'timeout':
      return new BrxError('BRX_MYSQL_TIMEOUT', message, { cause: error, remedy: 'see what keeps MySQL busy (SHOW FULL PROCESSLIST); BRX_MYSQL_QUERY_TIMEOUT_MS is how long a query may take' });
    case 'refused':
      return new BrxError('BRX_MYSQL_REFUSED', message, { cause: error, remedy: 'see that the user of BRX_MYSQL_URL may SELECT from cards_prints, op_prints, pk_prints and sealed_products; `brx-sync catalogue seed` makes them on a local server' });
    case 'unknown':
      return new BrxError('BRX_INTERNAL', message, { cause: error });
  }
}
