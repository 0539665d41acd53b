import { BrxError } from '../../errors.ts';

/** Parameters of a database URL that would silently override what this program sets, or be silently ignored; and what to use instead. */
const REFUSED: Readonly<Record<string, string>> = {
  query_timeout: 'use BRX_DATABASE_STATEMENT_TIMEOUT_MS: a timeout on our side hands connections on inside open transactions',
  statement_timeout: 'use BRX_DATABASE_STATEMENT_TIMEOUT_MS',
  lock_timeout: 'use BRX_DATABASE_LOCK_TIMEOUT_MS',
  idle_in_transaction_session_timeout: 'use BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS',
  options: 'use ALTER ROLE ... SET for settings of the server',
  schema: 'use a database of its own, or ALTER ROLE ... SET search_path',
  connection_limit: 'use BRX_DATABASE_POOL_MAX',
  pool_timeout: 'use BRX_DATABASE_ACQUIRE_TIMEOUT_MS',
};

/**
 * Throws BRX_CONFIG for a database URL with parameters that do not do what they look like. pg lets the URL win over what the
 * program sets (so `?query_timeout=` would open the trap the pool must not have), and Prisma's own parameters mean nothing to it.
 */
export function refuseUrlSettings(url: string, variable = 'BRX_DATABASE_URL'): void {
  const names = [...new Set(new URL(url).searchParams.keys())].filter((name) => Object.hasOwn(REFUSED, name));
  if (names.length === 0) return;
  throw new BrxError('BRX_CONFIG', `${variable} must not have the parameter${names.length > 1 ? 's' : ''} ${names.join(', ')}`, { remedy: names.map((name) => `instead of ${name}: ${REFUSED[name]}`).join('; ') });
}
