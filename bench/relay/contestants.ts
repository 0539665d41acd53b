import type pg from 'pg';
import { RELAY_SHARDS, shardOf } from '../../src/outbox/index.ts';
import { LANE_LOCK_CLASS } from '../../src/platform/postgres/index.ts';
import { laneOf } from '../../src/contract/index.ts';
import { startChild, type Child } from '../ingest/child.ts';

/** Somebody who brings rows of a table to Kafka. Rows say `<user>:<number> `, each user's numbers ascending, then filling: 200 bytes in all. */
export interface Contestant {
  readonly name: string;
  /** Its table, in a database that is migrated already. */
  setUp(client: pg.Client, users: readonly string[]): Promise<void>;
  /** `rows` rows, of each user as many. */
  fill(client: pg.Client, topic: string, rows: number): Promise<void>;
  /** A whole transaction that writes the next row of a user; its last but one answer says which. One round trip. */
  write(user: number, userId: string, topic: string): string;
  start(environment: Record<string, string>): Child;
}

const FILLING = "repeat('x', 188)";
const value = (user: string, number: string): string => `convert_to(${user} || ':' || ${number} || ' ' || ${FILLING}, 'UTF8')`;
const USERS = 'CREATE TABLE bench_users (user_no int PRIMARY KEY, id uuid NOT NULL, shard int NOT NULL); CREATE SEQUENCE bench_numbers START 1000000';

async function createUsers(client: pg.Client, users: readonly string[]): Promise<void> {
  await client.query(USERS);
  await client.query('INSERT INTO bench_users (user_no, id, shard) SELECT user_no - 1, id, shard FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS u (id, shard, user_no)', [users, users.map(shardOf)]);
}

/**
 * Under the lane and with an xid before the first number, like every writer of ours. No row of the user is updated: while a snapshot is
 * held, its versions would pile up and slow the writers down, which is not what is measured.
 */
const transaction = (user: number, userId: string, insert: string): string =>
  `BEGIN; SELECT pg_advisory_xact_lock(${LANE_LOCK_CLASS}, ${laneOf(userId)}); WITH x AS MATERIALIZED (SELECT pg_current_xact_id() AS xid), u AS (SELECT user_no, id, shard, nextval('bench_numbers') AS n FROM x CROSS JOIN bench_users WHERE user_no = ${user}) ${insert}; COMMIT`;

const series = (rows: number): string => `generate_series(1, (SELECT ${rows} / count(*)::int FROM bench_users)) AS s (n) CROSS JOIN bench_users AS u ORDER BY s.n, u.user_no`;

/** As shipped: `brx-sync start --roles relay`. */
export const brxSync: Contestant = {
  name: 'brx-sync',
  setUp: createUsers,
  async fill(client, topic, rows) {
    await client.query(`INSERT INTO outbox (topic, shard, user_id, event_id, record_key, record_value) SELECT '${topic}', u.shard, u.id, gen_random_uuid(), convert_to(u.id::text, 'UTF8'), ${value('u.user_no', 's.n')} FROM ${series(rows)}`);
  },
  write: (user, userId, topic) =>
    transaction(user, userId, `INSERT INTO outbox (topic, shard, user_id, event_id, record_key, record_value) SELECT '${topic}', shard, id, gen_random_uuid(), convert_to(id::text, 'UTF8'), ${value('user_no', 'n')} FROM u RETURNING split_part(convert_from(record_value, 'UTF8'), ' ', 1) AS written`),
  start: (environment) => startChild('src/cli/main.js', ['start', '--roles', 'relay'], environment),
};

/** What people write: a flag, a partial index, rows read from its left edge in order, marked after the send. One poller, which keeps the order. */
export const plainPoller: Contestant = {
  name: 'plain poller',
  async setUp(client, users) {
    await createUsers(client, users);
    await client.query('CREATE TABLE plain_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT clock_timestamp(), published_at timestamptz, topic text NOT NULL, record_key bytea NOT NULL, record_value bytea NOT NULL)');
    await client.query('CREATE INDEX ON plain_outbox (id) WHERE published_at IS NULL');
  },
  async fill(client, topic, rows) {
    await client.query(`INSERT INTO plain_outbox (topic, record_key, record_value) SELECT '${topic}', convert_to(u.id::text, 'UTF8'), ${value('u.user_no', 's.n')} FROM ${series(rows)}`);
  },
  write: (user, userId, topic) => transaction(user, userId, `INSERT INTO plain_outbox (topic, record_key, record_value) SELECT '${topic}', convert_to(id::text, 'UTF8'), ${value('user_no', 'n')} FROM u RETURNING split_part(convert_from(record_value, 'UTF8'), ' ', 1) AS written`),
  start: (environment) => startChild('bench/relay/plain-poller.js', [], environment),
};

/** npm's `pg-transactional-outbox` in its polling mode: the oldest message of each segment, a transaction a message. Set up by its own statements. */
export const library: Contestant = {
  name: 'pg-transactional-outbox',
  async setUp(client, users) {
    await createUsers(client, users);
    const { setUpLibrary } = await import('./library.ts');
    await setUpLibrary(client);
  },
  async fill(client, topic, rows) {
    await client.query(`INSERT INTO bench.outbox (id, aggregate_type, aggregate_id, message_type, segment, payload) SELECT gen_random_uuid(), '${topic}', u.id, 'row', u.id, ${payload('u.user_no', 's.n')} FROM ${series(rows)}`);
  },
  write: (user, userId, topic) => transaction(user, userId, `INSERT INTO bench.outbox (id, aggregate_type, aggregate_id, message_type, segment, payload) SELECT gen_random_uuid(), '${topic}', id, 'row', id, ${payload('user_no', 'n')} FROM u RETURNING split_part(payload ->> 'text', ' ', 1) AS written`),
  start: (environment) => startChild('bench/relay/library-poller.js', [], environment),
};

const payload = (user: string, number: string): string => `jsonb_build_object('text', ${user} || ':' || ${number} || ' ' || ${FILLING})`;

export const PARTITIONS = RELAY_SHARDS;
