import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';

/**
 * What Prisma does not tell about COMMIT: when it went out (a crash test stops the process there), and that the server
 * answered it with ROLLBACK. The second happens when work swallowed an error inside its transaction: PostgreSQL has already
 * given the transaction up, COMMIT "succeeds" as ROLLBACK, and Prisma resolves with nothing written (write-path.md 8.4).
 */
const commitSent = new AsyncLocalStorage<() => void>();

/**
 * Runs `work` so that `onCommitSent` is called right after the COMMIT of its transaction was written to the socket and before
 * any answer to it was read. It follows the asynchronous context, which costs the whole process a little from its first use on
 * (Node 20): for crash tests.
 */
export function withCommitSent<T>(onCommitSent: (() => void) | undefined, work: () => Promise<T>): Promise<T> {
  return onCommitSent === undefined ? work() : commitSent.run(onCommitSent, work);
}

/** COMMIT was answered with ROLLBACK: an error inside the transaction was caught and not thrown on. A fault of the program. */
export class SilentRollback extends Error {
  override readonly name = 'SilentRollback';
}

/** Wraps the client's `query` for the two purposes above; everything but COMMIT passes through. */
export function watchCommit(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = (...args: unknown[]): unknown => {
    const result = query(...args);
    if (!isCommit(args[0])) return result;
    commitSent.getStore()?.();
    return result instanceof Promise ? result.then(refuseRollback) : result;
  };
  Object.defineProperty(client, 'query', { value: watched, configurable: true, writable: true });
}

function isCommit(query: unknown): boolean {
  return query === 'COMMIT' || (typeof query === 'object' && query !== null && 'text' in query && query.text === 'COMMIT');
}

function refuseRollback(result: unknown): unknown {
  if (typeof result === 'object' && result !== null && 'command' in result && result.command === 'ROLLBACK') {
    throw new SilentRollback('nothing was committed: an error inside the transaction was swallowed instead of thrown');
  }
  return result;
}
