import type { Postgres, Transaction } from '../../src/platform/postgres/index.ts';

/** What can be told apart about a database error, as Prisma threw it: for comparing shapes, not for deciding. */
export function shapeOf(error: unknown): { name: string | undefined; code: string | undefined; kind: string | undefined; state: string | undefined } {
  const { name, code, meta, cause } = (error ?? {}) as { name?: string; code?: string; meta?: { driverAdapterError?: { cause?: Cause } }; cause?: Cause };
  const driver = meta?.driverAdapterError?.cause ?? (name === 'DriverAdapterError' ? cause : undefined);
  return { name, code, kind: driver?.kind, state: driver?.originalCode };
}

interface Cause {
  kind?: string;
  originalCode?: string;
}

/**
 * Two Prisma transactions that take `first` and `second` in opposite order, each holding its one before it asks for the other:
 * a certain deadlock. Resolves to the errors of those that failed; PostgreSQL picks one.
 */
export async function crossed(postgres: Postgres, first: (tx: Transaction) => Promise<unknown>, second: (tx: Transaction) => Promise<unknown>): Promise<unknown[]> {
  const bothHold = barrier(2);
  const run = (one: typeof first, other: typeof first): Promise<unknown> =>
    postgres.prisma.$transaction(
      async (tx) => {
        await one(tx as Transaction);
        await bothHold();
        await other(tx as Transaction);
      },
      { timeout: postgres.config.transactionTimeoutMs },
    );
  const results = await Promise.allSettled([run(first, second), run(second, first)]);
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
}

/** A function that resolves for everyone once `parties` have called it; later calls resolve at once. */
export function barrier(parties: number): () => Promise<void> {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let waiting = 0;
  return () => {
    waiting += 1;
    if (waiting >= parties) open();
    return opened;
  };
}
