import { BrxError } from '../../errors.ts';

/** Where a server is and who asks; what mysql2 is given. `tls` undefined is plain text. */
export interface MysqlPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: { readonly rejectUnauthorized: boolean } | undefined;
}

const DEFAULT_PORT = 3_306;
const TLS: Readonly<Record<string, MysqlPlace['tls']>> = { off: undefined, required: { rejectUnauthorized: false }, verify: { rejectUnauthorized: true } };

/**
 * The parts of a MySQL URL, or BRX_CONFIG that names the variable and never its value. mysql2 itself takes *every* option from the query
 * (`multipleStatements`, `connectionLimit`, timeouts), silently; here there is `tls` and nothing else.
 */
export function readMysqlUrl(text: string, variable: string): MysqlPlace {
  const url = new URL(text);
  const refuse = (problem: string, remedy: string): BrxError => new BrxError('BRX_CONFIG', `${variable} ${problem}`, { remedy });
  const others = [...new Set(url.searchParams.keys())].filter((name) => name !== 'tls');
  if (others.length > 0) {
    throw refuse(`must not have the parameter${others.length > 1 ? 's' : ''} ${others.join(', ')}`, 'tls=off|required|verify is the only one; pool and timeouts are BRX_MYSQL_POOL_MAX, BRX_MYSQL_ACQUIRE_TIMEOUT_MS and BRX_MYSQL_QUERY_TIMEOUT_MS');
  }
  const tls = url.searchParams.get('tls') ?? 'off';
  if (!Object.hasOwn(TLS, tls)) throw refuse('has a tls that is none of off, required and verify', 'verify checks the server’s certificate, required only encrypts');
  const database = decoded(url.pathname.slice(1));
  if (url.hostname === '' || database === undefined || !/^[^/]+$/.test(database)) throw refuse('names no database', 'it is mysql://user:password@host:port/database');
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (user === undefined || user === '' || password === undefined) throw refuse('has no user, or one that is not percent-encoded', 'it is mysql://user:password@host:port/database, with % @ : / , in a password written as %25 %40 %3A %2F %2C');
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? DEFAULT_PORT : Number(url.port), user, password, database, tls: TLS[tls] };
}

/** True if the server can only be one of this machine. */
export const isLocal = ({ host }: Pick<MysqlPlace, 'host'>): boolean => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
