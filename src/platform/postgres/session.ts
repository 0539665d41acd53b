import pg from 'pg';
import type { PostgresConfig } from '../../config.ts';
import type { Logger } from '../log.ts';
import { statementName } from './statements.ts';
import { refuseUrlSettings } from './url.ts';

/**
 * One connection outside the pool, for what lives as long as a connection does: session advisory locks. It has settings of its
 * own, and the server ends it when it says nothing for `idleMs`, so that a frozen process does not keep its locks: whoever holds
 * one pings well within that time.
 */
export interface Session {
  /**
   * One statement at a time, in the order they were asked for. Those named by `nameStatement` are prepared once. Throws what pg
   * throws; a statement that is not answered although the server should have ended it long ago ends the session.
   */
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Whether it is gone; what it held is free by then, or will be within `idleMs`. */
  readonly lost: boolean;
  /** Ends it, locks included. Never throws. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly logger: Logger;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly idleMs: number;
  /** More settings of this connection, `enable_seqscan=off`. */
  readonly settings?: readonly string[];
}

/** A frozen server, or a network that swallows packets, never says goodbye (watchdog.ts has the story for pools). */
const CLOSE_MS = 1_000;

export async function openSession(config: Pick<PostgresConfig, 'url' | 'acquireTimeoutMs' | 'statementTimeoutMs' | 'lockTimeoutMs'>, options: SessionOptions): Promise<Session> {
  refuseUrlSettings(config.url);
  const settings = [`idle_session_timeout=${options.idleMs}`, ...(options.settings ?? [])];
  const client = new pg.Client({
    connectionString: config.url,
    connectionTimeoutMillis: config.acquireTimeoutMs,
    keepAlive: true,
    statement_timeout: config.statementTimeoutMs,
    lock_timeout: config.lockTimeoutMs,
    query_timeout: config.statementTimeoutMs * 1.25, // longer than any statement may take: then nobody is there
    application_name: options.applicationName,
    options: settings.map((setting) => `-c ${setting}`).join(' '),
  });
  let lost = false;
  const lose = (error: Error): void => {
    if (!lost) options.logger.warn({ error: error.message }, 'PostgreSQL session lost');
    lost = true;
  };
  client.on('error', lose);
  client.on('end', () => {
    lost = true;
  });
  try {
    await client.connect();
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  }

  async function ask<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[]): Promise<Row[]> {
    const name = statementName(sql);
    try {
      const { rows } = await client.query<Row>({ text: sql, values: [...values], ...(name === '' ? {} : { name }) });
      return rows;
    } catch (error) {
      // Its answer may still come, and then belongs to no question: this connection cannot be used any more.
      if (error instanceof Error && error.message === 'Query read timeout') {
        lose(error);
        client.connection.stream.destroy();
      }
      throw error;
    }
  }

  let tail: Promise<unknown> = Promise.resolve();
  return {
    query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) {
      const answer = tail.then(() => ask<Row>(sql, values));
      tail = answer.catch(() => undefined); // whoever asked hears of it
      return answer;
    },
    get lost() {
      return lost;
    },
    async close() {
      lost = true;
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          client.connection.stream.destroy();
          resolve();
        }, CLOSE_MS);
      });
      await Promise.race([client.end().catch(() => undefined), patience]); // broken is closed too
      clearTimeout(timer);
    },
  };
}
