import { z } from 'zod';
import { countParked } from '../../ingest/index.ts';
import { countMarketplace } from '../../marketplace/index.ts';
import { readOutboxStats, RELAY_SHARDS } from '../../outbox/index.ts';
import type { Clock } from '../../platform/clock.ts';
import { CONSUMER_STATUSES, type ConsumerReading } from '../../platform/consumer/index.ts';
import { withDeadline } from '../../platform/deadline.ts';
import type { PoolState } from '../../platform/metrics.ts';
import type { Readers } from '../../platform/postgres/index.ts';
import { packageVersion } from '../../platform/version.ts';
import { countActiveSagas } from '../../purchase/index.ts';
import { countDeadLetters } from '../../records/index.ts';
import type { Model } from '../route.ts';
import { consumerStanding, deadLetterStanding, kafkaStanding, LEVELS, limitStanding, listingStanding, outboxStanding, parkedStanding, poolStanding, sagaStanding, sellerStanding, worst, type Standing } from '../overview.ts';
import { toProblem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import type { LimitDeps } from './limits.ts';

/** What this process knows of itself. */
export interface SelfDeps {
  readonly clock: Clock;
  readonly roles: readonly string[];
  readonly consumers: readonly { reading(): ConsumerReading }[];
  readonly pools: ReadonlyMap<string, () => PoolState>;
  /** Whether anything can be changed over HTTP: a token is configured. */
  readonly isWritable: boolean;
}

/** One that does not answer hides none of the others. */
const PART_MS = 2_000;
/** However many look, the database is asked once a second. */
const SHARED_MS = 1_000;
/** The newest dead letters are counted; more are not told apart by anybody who looks. */
const MOST_COUNTED = 100_000;
const MOST_SELLERS = 500;

const level = z.enum(LEVELS).meta({ description: 'unknown: it cannot be told from here, or it did not answer' });
const fact = z.object({ name: z.string(), value: z.union([z.number(), z.string()]), level, means: z.string().nullable() });
const part = z.object({ name: z.string(), title: z.string(), level, says: z.string(), remedy: z.string().nullable().meta({ description: 'what to do about it' }), facts: z.array(fact) });
const partition = z.object({ group: z.string(), topic: z.string(), partition: z.int(), status: z.enum(CONSUMER_STATUSES), records: z.int(), seconds: z.number().meta({ description: 'age of the oldest record that is not done' }), trend: z.int().meta({ description: 'records it is further behind than two minutes ago' }) });
const pool = z.object({ name: z.string(), used: z.int(), max: z.int(), waiting: z.int() });
export const overviewModel = {
  name: 'Overview',
  schema: z.object({ at: z.iso.datetime(), version: z.string(), roles: z.array(z.string()), writable: z.boolean().meta({ description: 'whether a token is configured, without which nothing can be changed over HTTP' }), level, parts: z.array(part), partitions: z.array(partition).meta({ description: 'owned by this process' }), pools: z.array(pool) }),
} satisfies Model;
type Overview = z.input<typeof overviewModel.schema>;

/** Health first: each part for itself, with what to do where something is wrong. */
export function overviewRoute({ readers, self, limits }: { readonly readers: Readers; readonly self: SelfDeps; readonly limits: LimitDeps }): Route {
  const { clock } = self;
  let shared: { readonly at: number; readonly overview: Promise<Overview> } | undefined;
  return route({
    method: 'GET',
    path: '/overview',
    access: 'read',
    isLimited: true,
    summary: 'How everything stands, what is wrong, and what to do about it',
    description: 'Answers also while PostgreSQL or Kafka are away. Partitions and pools are those of the process that answers.',
    answer: overviewModel,
    problems: ['unauthorized'],
    async handle() {
      const now = clock.monotonic();
      if (shared === undefined || now - shared.at >= SHARED_MS) shared = { at: now, overview: look(readers, self, limits) };
      return { body: await shared.overview };
    },
  });
}

async function look(readers: Readers, { clock, roles, consumers, pools, isWritable }: SelfDeps, limits: LimitDeps): Promise<Overview> {
  const readings = consumers.map((consumer) => consumer.reading());
  const states = new Map([...pools].map(([name, read]) => [name, read()]));
  const asked = (name: string, title: string, ask: () => Promise<Standing>): Promise<Overview['parts'][number]> => partOf(name, title, ask, clock);
  const told = (name: string, title: string, standing: Standing): Promise<Overview['parts'][number]> => Promise.resolve({ name, title, ...standing, facts: [...standing.facts] });
  const counts = readers.readFrom(({ prisma }) => countMarketplace(prisma));
  counts.catch(() => undefined); // told by the two parts that are made from it
  const parts = await Promise.all([
    asked('postgres', 'PostgreSQL', async (): Promise<Standing> => {
      await readers.position();
      return { level: 'good', says: 'answers', remedy: null, facts: [] };
    }),
    told('kafka', 'Kafka', kafkaStanding(readings)),
    told('partitions', 'Events', consumerStanding(readings)),
    told('pools', 'Connections', poolStanding(states)),
    asked('outbox', 'Outbox', async () => outboxStanding(await readers.readFrom(({ prisma }) => readOutboxStats(prisma, RELAY_SHARDS)))),
    asked('sagas', 'Sales', async () => sagaStanding(await readers.readFrom(({ prisma }) => countActiveSagas(prisma)))),
    asked('parked', 'Parked users', async () => parkedStanding(await readers.readFrom(({ prisma }) => countParked(prisma)))),
    asked('dead_letters', 'Dead letters', async () => deadLetterStanding(new Map((await readers.readFrom(({ prisma }) => countDeadLetters(prisma, { states: ['open'] }, { newest: MOST_COUNTED }))).map(({ reason, letters }) => [reason, letters])))),
    asked('sellers', 'Sellers on CardTrader', async () => sellerStanding(await counts)),
    asked('listings', 'Listings on CardTrader', async () => listingStanding(await counts)),
    asked('limits', 'Limit of CardTrader', async () => limitStanding(await limits.limiter.busiest(MOST_SELLERS), limits)),
  ]);
  return {
    at: new Date(clock.now()).toISOString(),
    version: packageVersion(),
    roles: [...roles],
    writable: isWritable,
    level: worst(parts.map((each) => each.level)),
    parts,
    partitions: readings.flatMap(({ group, partitions }) => partitions.map((each) => ({ group, ...each }))).toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition),
    pools: [...states].map(([name, { used, max, waiting }]) => ({ name, used, max, waiting })),
  };
}

async function partOf(name: string, title: string, ask: () => Promise<Standing>, clock: Clock): Promise<Overview['parts'][number]> {
  const failed = (says: string, remedy: string | null): Standing => ({ level: name === 'postgres' ? 'bad' : 'unknown', says, remedy, facts: [] });
  const down = name === 'postgres' ? 'events wait in Kafka and nothing is lost; see whether the server runs and can be reached (BRX_DATABASE_URL)' : null;
  const standing = await withDeadline(
    ask().catch((error: unknown) => {
      const { code, message } = toProblem(error);
      return failed(code === 'unavailable' ? message : 'could not be read; the log of this instance says why', down);
    }),
    { ms: PART_MS, clock, late: () => failed(`no answer within ${PART_MS / 1_000} s`, down) },
  );
  return { name, title, ...standing, facts: [...standing.facts] };
}
