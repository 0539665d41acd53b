import { randomUUID } from 'node:crypto';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { Dispatcher } from '../../src/marketplace/dispatcher/dispatcher.ts';
import { addSeller, linkListings, openAccess, openToken, setListingSync } from '../../src/marketplace/index.ts';
import { migrate } from '../../src/operations/migrate/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createPostgres } from '../../src/platform/postgres/index.ts';
import { startSimulator } from '../../src/simulator/index.ts';
import { resolveStack } from '../../stack/index.ts';
import { keepResult, machine } from '../results.ts';

/** `npm run bench:listing-sync`: how long one seller's changed items take to CardTrader, beside what its limits permit. */
const { values: flags } = parseArgs({ options: { items: { type: 'string', default: '10000' }, jobs: { type: 'string', default: '6' }, name: { type: 'string', default: 'listing-sync' } } });
const items = Number(flags.items);
const BULK_ITEMS = 450;
let lost = 0;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const stack = await resolveStack({ report: say });
const server = new pg.Client({ connectionString: stack.databaseUrl });
await server.connect();
const database = `bench_listing_sync_${Date.now().toString(36)}`;
await server.query(`CREATE DATABASE ${database}`);
const databaseUrl = new URL(stack.databaseUrl);
databaseUrl.pathname = `/${database}`;
await migrate(databaseUrl.href, { logger: silentLogger });

const simulator = await startSimulator({ stock: { sellers: 0, products: 0 } });
const config = readConfig({
  BRX_KAFKA_BROKERS: stack.kafkaBrokers,
  BRX_SCHEMA_REGISTRY_URL: stack.registryUrl,
  BRX_DATABASE_URL: databaseUrl.href,
  BRX_MARKETPLACE_URL: simulator.apiUrl,
  BRX_REDIS_URL: stack.redisUrl,
  BRX_SECRET_KEYS: `bench:${Buffer.alloc(32, 7).toString('base64')}`,
});
const postgres = createPostgres(config.postgres, { logger: silentLogger, applicationName: 'bench', keyLookupsOnly: true });
const access = openAccess(config, { clock: systemClock, logger: silentLogger, connectionName: 'bench', observeLimiter: { mode: (source) => say(`requests are counted ${source}`), lost: (tokens) => void (lost += tokens) } });
const client = new pg.Client({ connectionString: databaseUrl.href });
await client.connect();

try {
  say(`${items} items of one seller, listed`);
  const userId = randomUUID();
  const account = simulator.control.addSeller();
  const itemIds = Array.from({ length: items }, () => randomUUID() as string);
  for (const itemId of itemIds) simulator.control.addProduct(account.id, { quantity: 5, priceCents: 100, userData: itemId });
  await client.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, price_cents, currency) SELECT $1, item_id, gen_random_uuid(), 5, 100, $3 FROM unnest($2::uuid[]) AS i (item_id)', [userId, itemIds, 'EUR']);
  const accounts = { postgres, keyring: access.keyring, client: access.client };
  await addSeller(accounts, userId, account.token, { otherAccount: false, who: 'bench', reason: 'bench' });
  await linkListings({ postgres, clock: systemClock, client: access.client }, { userId, token: await openToken(accounts, userId) }, { who: 'bench', force: false });
  await client.query('UPDATE inventory_items SET on_hand = 7, price_cents = 150, last_event_id = gen_random_uuid()');
  const { asked } = await setListingSync(postgres, userId, { listingSync: true }, { who: 'bench', reason: 'bench' });
  if (asked !== items) throw new Error(`${asked} of ${items} items were asked for`);
  await client.query('ANALYZE');
  await delay(2_000); // what was asked of CardTrader so far counts no more in its windows of a second

  const before = simulator.control.arrivals(account.id).length;
  const dispatcher = new Dispatcher({
    postgres,
    clock: systemClock,
    owner: randomUUID(),
    leaseMs: config.dispatcher.leaseMs,
    quarantineMs: config.dispatcher.quarantineMs,
    writeTimeoutMs: config.marketplace.writeTimeoutMs,
    sellersAtOnce: 4,
    operationsAtOnce: config.dispatcher.operations,
    bulkItems: BULK_ITEMS,
    jobsAtOnce: Number(flags.jobs),
    jobPatienceMs: config.dispatcher.jobPatienceMs,
    dataFieldLength: config.marketplace.dataFieldLength,
    encoder: { prepare: () => Promise.resolve(), encode: () => Buffer.alloc(0) },
    sagaEvents: 'none',
    client: access.client,
    limiter: access.limiter,
    keyring: access.keyring,
    observer: { claimed: () => undefined, settled: () => undefined, leaseLost: (user) => say(`lease of ${user} lost`), tokenRejected: () => undefined, tokenUnreadable: () => undefined, circuitOpened: () => undefined, refused: (_, error) => say(error), transactionRetried: () => undefined, waiting: say },
    onEnqueued: () => undefined,
    onFatal: (error) => {
      throw error;
    },
  });
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await dispatcher.start();
  const seconds = (): number => (performance.now() - begun) / 1_000;
  const shown = (): number => simulator.control.products(account.id).filter(({ quantity, priceCents }) => quantity === 7 && priceCents === 150).length;
  let half = 0;
  for (let there = 0; there < items; there = shown()) {
    if (half === 0 && there * 2 >= items) half = seconds();
    await delay(100);
    if (seconds() > 600) throw new Error(`${there} of ${items} are there after ten minutes`);
  }
  const shownSeconds = seconds();
  while ((await client.query('SELECT FROM marketplace_operations WHERE due_at IS NOT NULL LIMIT 1')).rowCount !== 0) await delay(100);
  const settledSeconds = seconds();
  const used = process.cpuUsage(cpu);
  await dispatcher.stop();

  const looks = simulator.control.arrivals(account.id, 'jobs');
  say(`looks at jobs, ms after each other: ${looks.slice(1).map((at, index) => Math.round(at - (looks[index] ?? at))).join(' ')}; tokens that came too late: ${lost}`);
  const firstAt = simulator.control.recentRequests(account.id).find(({ path }) => path.includes('bulk'))?.at ?? 0;
  say(`bulk calls, seconds after the first: ${simulator.control.recentRequests(account.id).filter(({ path }) => path.includes('bulk')).map(({ at }) => ((at - firstAt) / 1_000).toFixed(1)).join(' ')}`);
  const jobs = Math.ceil(items / BULK_ITEMS);
  const { jobPendingMs, jobItemMs } = simulator.control.guesses;
  // One look at each job is the least, and one look a second the most: the first when the first job is over.
  const permittedSeconds = (jobPendingMs + Math.min(items, BULK_ITEMS) * jobItemMs) / 1_000 + (jobs - 1);
  const requests = simulator.control.arrivals(account.id).length - before;
  const { rows: wrong } = await client.query("SELECT l.item_id FROM marketplace_listings AS l JOIN inventory_items AS i USING (user_id, item_id) WHERE l.quantity <> i.on_hand OR l.price_cents <> i.price_cents OR l.unaccounted <> 0");
  if (wrong.length > 0 || simulator.control.repeated().length > 0) throw new Error(`${wrong.length} listings are wrong, ${simulator.control.repeated().length} operations took effect twice`);
  const result = {
    at: new Date().toISOString(),
    machine: { ...machine(), load: loadavg()[0] },
    items,
    jobs,
    jobsAtOnce: Number(flags.jobs),
    permittedSeconds,
    shownSeconds,
    settledSeconds,
    halfSeconds: half,
    share: permittedSeconds / shownSeconds,
    settledShare: permittedSeconds / settledSeconds,
    requests,
    looks: simulator.control.arrivals(account.id, 'jobs').length,
    cpuSeconds: (used.user + used.system) / 1e6,
    refusedRequests: simulator.control.recentRequests(account.id).filter(({ status }) => status === 429).length,
  };
  const text = `# Listing sync benchmark

${result.at} · ${result.machine.cpus} × ${result.machine.model}, Node ${result.machine.node}, load ${result.machine.load?.toFixed(1)} · \`npm run bench:listing-sync\`

One seller, ${items} listed items, each with another quantity and another price; dispatcher, simulator and database share the machine. At the end every product and every listing was right, no operation had taken effect twice.

| | |
|---|---|
| bulk jobs of ${BULK_ITEMS}, at once | ${jobs}, ${result.jobsAtOnce} |
| seconds CardTrader's limits permit (one look a job, one look a second, after the first job of ${((jobPendingMs + BULK_ITEMS * jobItemMs) / 1_000).toFixed(1)} s) | ${permittedSeconds.toFixed(1)} |
| seconds until CardTrader showed all | ${shownSeconds.toFixed(1)} (${(result.share * 100).toFixed(1)} % of what is permitted) |
| seconds until all was confirmed here | ${settledSeconds.toFixed(1)} (${(result.settledShare * 100).toFixed(1)} %) |
| requests; of them looks at jobs; refused | ${requests}; ${result.looks}; ${result.refusedRequests} |
| CPU seconds of the process, simulator included | ${result.cpuSeconds.toFixed(1)} |
`;
  keepResult(flags.name, result, text);
} finally {
  await client.end();
  await access.close();
  await postgres.close();
  await simulator.close();
  await server.query(`DROP DATABASE ${database} WITH (FORCE)`);
  await server.end();
}
