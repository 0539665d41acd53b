import type { Transaction } from '../../src/platform/postgres/index.ts';

export interface RecordedStatement {
  sql: string;
  values: readonly (string | number | bigint | Buffer | null)[];
}

/** A transaction that asks nobody: it keeps every statement it is given and answers with nothing. */
export function recordingTransaction(): { tx: Transaction; statements: RecordedStatement[] } {
  const statements: RecordedStatement[] = [];
  const record = (sql: string, ...values: RecordedStatement['values']): void => void statements.push({ sql, values });
  const tx = {
    $queryRawUnsafe: (...given: [string, ...RecordedStatement['values']]) => {
      record(...given);
      return Promise.resolve([]);
    },
    $executeRawUnsafe: (...given: [string, ...RecordedStatement['values']]) => {
      record(...given);
      return Promise.resolve(0);
    },
  };
  return { tx: tx as unknown as Transaction, statements };
}
