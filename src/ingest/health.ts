import { messageOf } from '../errors.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { IngestConsumer } from './consumer.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface IngestHealth {
  /** Does the loop move? Says nothing of databases: restarting this process would not bring them back. */
  live(): Check[];
  /** Can it work right now? Takes at most as long as the pool's acquire timeout. */
  ready(): Promise<Check[]>;
}

interface HealthDeps {
  readonly consumer: IngestConsumer;
  readonly postgres: Postgres;
  readonly stillLimitMs: number;
}

export function createHealth({ consumer, postgres, stillLimitMs }: HealthDeps): IngestHealth {
  return {
    live() {
      const still = consumer.progress.stillFor();
      return [{ name: 'ingest loop', ok: still < stillLimitMs, detail: `last moved ${(still / 1_000).toFixed(1)} s ago (limit ${stillLimitMs / 1_000} s)` }];
    },
    async ready() {
      const { ownership, hold } = consumer;
      return [
        { name: 'consumer group', ok: ownership.joined, detail: ownership.joined ? `joined, ${ownership.assigned.length} partitions` : 'not joined yet' },
        { name: 'nothing is away', ok: hold.reason === undefined, detail: hold.reason === undefined ? 'ok' : `waiting: ${hold.reason.message}` },
        await postgres.ping().then(
          () => ({ name: 'PostgreSQL', ok: true, detail: 'answers' }),
          (error: unknown) => ({ name: 'PostgreSQL', ok: false, detail: messageOf(error) }),
        ),
      ];
    },
  };
}
