import { BrxError } from '../errors.ts';
import type { Mysql } from '../platform/mysql/index.ts';
import { createRandom } from '../platform/random.ts';
import { madeUpPrints, type MadeUpPrint } from './made-up.ts';
import { PRINT_TABLES, type PrintTable } from './mapping.ts';
import { createTables, emptyTable, foreignTables, insertPrints, releaseSeedLock, takeSeedLock } from './seed.sql.ts';

export interface SeedOptions {
  readonly rows: number;
  readonly seed: number;
  /** Whoever calls has said that a server on another machine is meant. */
  readonly evenIfNotLocal?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

const STATEMENT_TIMEOUT_MS = 60_000;
const ROWS_OF_A_STATEMENT = 5_000;

/**
 * Makes the tables and fills them with made-up prints, instead of those an earlier call made. Throws BRX_REFUSED, having changed nothing, for a
 * server that is not local unless told otherwise, and always for tables with anything in them that this command did not write.
 */
export async function seedCatalogue(mysql: Pick<Mysql, 'session' | 'isLocal' | 'title'>, options: SeedOptions): Promise<Record<PrintTable, number>> {
  if (!mysql.isLocal && options.evenIfNotLocal !== true) {
    throw new BrxError('BRX_REFUSED', `nothing was written: MySQL ${mysql.title} is not on this machine, and made-up prints belong into no catalogue that somebody uses`, {
      remedy: 'set BRX_MYSQL_URL to a local server (`npm run stack:up` starts one); --not-local if a test server elsewhere is meant',
    });
  }
  return mysql.session(STATEMENT_TIMEOUT_MS, async (run) => {
    if (!(await takeSeedLock(run))) throw new BrxError('BRX_REFUSED', `another \`catalogue seed\` is at work on MySQL ${mysql.title}`, { remedy: 'wait until it is done' });
    try {
      const foreign = await foreignTables(run);
      if (foreign.length > 0) {
        throw new BrxError('BRX_REFUSED', `nothing was written: ${foreign.join(', ')} of MySQL ${mysql.title} ${foreign.length === 1 ? 'holds' : 'hold'} rows that \`catalogue seed\` did not write`, { remedy: 'use an empty database; this one may be somebody’s catalogue' });
      }
      await createTables(run);
      for (const table of PRINT_TABLES) await emptyTable(run, table);
      const written: Record<PrintTable, number> = { cards_prints: 0, op_prints: 0, pk_prints: 0, sealed_products: 0 };
      const waiting: Record<PrintTable, MadeUpPrint[]> = { cards_prints: [], op_prints: [], pk_prints: [], sealed_products: [] };
      const flush = async (table: PrintTable): Promise<void> => {
        options.signal?.throwIfAborted();
        await insertPrints(run, table, waiting[table], options.seed);
        written[table] += waiting[table].length;
        waiting[table] = [];
        options.onProgress?.(Object.values(written).reduce((sum, count) => sum + count, 0));
      };
      for (const print of madeUpPrints(createRandom(options.seed), options.rows)) {
        waiting[print.table].push(print);
        if (waiting[print.table].length === ROWS_OF_A_STATEMENT) await flush(print.table);
      }
      for (const table of PRINT_TABLES) if (waiting[table].length > 0) await flush(table);
      return written;
    } finally {
      await releaseSeedLock(run).catch(() => undefined); // a connection that broke has let go of it
    }
  });
}
