import { deadLetterTopic, TOPICS, topicName } from '../src/contract/index.ts';
import { BrxError, messageOf } from '../src/errors.ts';
import { explainItem } from '../src/operations/item/index.ts';
import { verify } from '../src/operations/verify/index.ts';
import { systemClock } from '../src/platform/clock.ts';
import { COMMAND_RETRIES, createCodec, createKafka, createRegistry } from '../src/platform/kafka/index.ts';
import { silentLogger } from '../src/platform/log.ts';
import { createPostgres, type Postgres } from '../src/platform/postgres/index.ts';
import { readStory } from '../src/purchase/index.ts';
import { readSettings, resolveStack, type StackUrls } from '../stack/index.ts';
import { DEMO_APPLICATION, onHandOf, readFacts, salesByState, telltaleItem, telltaleSale } from './demo.sql.ts';
import { openGroupReader } from './group.ts';
import { connectSellers, marketFacts, openMarket, type Market } from './market.ts';
import { HELP, readOptions, type DemoOptions } from './options.ts';
import { showProgress } from './progress.ts';
import { showReport } from './report.ts';
import { planRun, prepareRun, removeFinishedRuns, type Run } from './run.ts';
import { killInTheMiddle, publish, untilAllApplied, untilSettled, untilShared, workload } from './scene.ts';
import { count, createView, type View } from './view.ts';
import { Watch } from './watch.ts';
import { freePorts, Worker } from './worker.ts';

/**
 * `npm run demo`: the main job once, from an empty database to a verified one.
 *
 *   stack ► database, topics, schemas ► two workers ► sellers on CardTrader ► publish ► kill one, start it again
 *   ► all applied ► every sale settled ► stop ► verify ► report
 */
const clock = systemClock;
const begun = clock.monotonic();
const secondsSince = (start: number): number => (clock.monotonic() - start) / 1_000;

class Interrupted extends Error {}

async function demo(options: DemoOptions, view: View, signal: AbortSignal, workers: Worker[]): Promise<boolean> {
  view.line(view.paint('bold', `BRX Sync: ${count(options.events)} events of ${count(options.users)} sellers, a tenth of them sales; two workers, one of them killed in the middle; a CardTrader that loses answers`));
  view.line();
  const settings = readSettings();
  const urls = await view.step('Kafka, registry and PostgreSQL answer', (report) => resolveStack({ settings, report }));
  signal.throwIfAborted();
  const market = await openMarket(options);
  const run = planRun(settings, urls, market.simulator.apiUrl);
  await view.step(`database ${run.database}, topics and schemas`, async (report) => {
    const removed = await removeFinishedRuns(run, urls);
    if (removed.length > 0) report(`removed what ${removed.length === 1 ? 'an earlier demo' : `${removed.length} earlier demos`} left`);
    await prepareRun(run, urls, options.keep);
  });
  signal.throwIfAborted();

  const postgres = createPostgres(run.config.postgres, { logger: silentLogger, applicationName: DEMO_APPLICATION, keyLookupsOnly: false });
  try {
    return await perform(options, { run, urls, market, postgres }, view, signal, workers);
  } finally {
    await postgres.close();
    await market.simulator.close();
  }
}

interface Scenery {
  readonly run: Run;
  readonly urls: StackUrls;
  readonly market: Market;
  readonly postgres: Postgres;
}

async function perform(options: DemoOptions, { run, urls, market, postgres }: Scenery, view: View, signal: AbortSignal, workers: Worker[]): Promise<boolean> {
  const { pool } = postgres;
  const kafka = createKafka(run.config.kafka, silentLogger, { retries: COMMAND_RETRIES });
  const reader = await openGroupReader(kafka, run.topic, run.config.ingest.groupId);
  const [first = 0, second = 0] = await freePorts(2);
  workers.push(new Worker(run, 'a', first), new Worker(run, 'b', second));
  let applying: number | undefined;
  const watch = new Watch({
    group: reader,
    workers,
    pool,
    signal,
    onSnapshot: (snapshot) => {
      if (applying !== undefined) showProgress(view, options, workers, snapshot, secondsSince(applying));
    },
  });
  const ending = new AbortController();
  try {
    await view.step('two workers share 12 partitions', async () => {
      for (const worker of workers) worker.start();
      await untilShared(workers, watch);
    });
    view.line(view.paint('dim', `  ${workers.map(({ name, pid, metricsUrl }) => `worker ${name}: process ${pid ?? '?'}, ${metricsUrl}`).join('    ')}`));

    const until = AbortSignal.any([signal, ending.signal]);
    await view.step(`${count(market.sellers.length)} of the sellers list ${count(market.opening.length)} cards on CardTrader, too`, async () => {
      await publish(run, market.opening, until);
      await watch.until(({ applied }) => applied === market.opening.length);
      await connectSellers(market, run, postgres);
    });

    applying = clock.monotonic();
    const publishing = publish(run, workload(run, options, market), until, options.events);
    const [published, kill] = await Promise.all([publishing, killInTheMiddle(options, workers, watch, reader, view), untilAllApplied(options, watch)]);
    const applySeconds = secondsSince(applying);
    view.line(`${view.paint('green', '✓')} ${`all ${count(options.events)} events applied`.padEnd(52)} ${view.paint('dim', `${applySeconds.toFixed(1)} s`)}`);
    await untilSettled(watch);
    const settleSeconds = secondsSince(applying);
    applying = undefined;
    view.line(`${view.paint('green', '✓')} ${'every sale has ended, and its seller’s shop is told'.padEnd(52)} ${view.paint('dim', `${settleSeconds.toFixed(1)} s`)}`);
    await market.simulator.control.idle();
    await watch.end();

    const stopping = clock.monotonic();
    const exits = await view.step('workers stopped gracefully', () => Promise.all(workers.map((worker) => worker.stop())));
    const stopSeconds = secondsSince(stopping);
    const verified = await view.step('verified: the whole topic against PostgreSQL', (report) =>
      verify({
        pool,
        kafka,
        codec: createCodec(createRegistry(run.config.registry)),
        clock,
        topic: run.topic,
        outcomesTopic: topicName(run.config.kafka.topicPrefix, TOPICS.purchaseOutcomes),
        snapshotsTopic: topicName(run.config.kafka.topicPrefix, TOPICS.inventorySnapshots),
        groupId: run.config.ingest.groupId,
        horizonMs: run.config.ingest.horizonMs,
        settled: true,
        signal,
        onProgress: (progress) => report(progress.step === 'reading' ? `${count(progress.records)} of ${count(progress.of)} records` : progress.step),
      }),
    );
    const telltale = await telltaleItem(pool);
    const sale = await telltaleSale(pool);
    return showReport(view, {
      options,
      run,
      urls,
      verified,
      kill,
      workers,
      exits,
      facts: await readFacts(pool),
      sales: await salesByState(pool),
      market: marketFacts(market, await onHandOf(pool, market.sellers.map(({ user }) => user))),
      deadLetterRecords: await recordsOf(kafka, topicName(run.config.kafka.topicPrefix, deadLetterTopic(TOPICS.marketplaceEvents))),
      peakConnections: watch.peakConnections,
      seconds: { apply: applySeconds, settle: settleSeconds, stop: stopSeconds, total: secondsSince(begun) },
      published,
      bestRate: watch.bestRate,
      item: telltale === undefined ? undefined : await explainItem(pool, telltale.user_id, telltale.item_id, 8),
      sale: sale === undefined ? undefined : (await readStory(postgres.prisma, sale.purchase_id, sale.user_id))[0],
    });
  } finally {
    ending.abort(new Error('the demo is over'));
    await watch.end();
    await reader.close();
  }
}

async function recordsOf(kafka: ReturnType<typeof createKafka>, topic: string): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return (await admin.fetchTopicOffsets(topic)).reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0);
  } finally {
    await admin.disconnect();
  }
}

async function main(): Promise<number> {
  const view = createView(process.stdout);
  const workers: Worker[] = [];
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(130);
      view.line('stopping the workers; once more ends them at once');
      interruption.abort(new Interrupted(`interrupted by ${name}`));
    });
  }
  process.on('exit', () => workers.forEach((worker) => worker.killNow())); // none outlives the demo, whatever happens
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === 'help') {
      process.stdout.write(HELP);
      return 0;
    }
    return (await demo(options, view, interruption.signal, workers)) ? 0 : 1;
  } catch (error) {
    await Promise.allSettled(workers.map((worker) => worker.stop()));
    view.clear();
    if (error instanceof Interrupted || interruption.signal.aborted) {
      view.line('Interrupted. The workers have stopped. The local services run on (npm run stack:down); database and topics of this run stay until the next demo removes them.');
      return 130;
    }
    if (!(error instanceof BrxError)) throw error;
    process.stderr.write(`error ${error.code}: ${error.message}\n${error.remedy === undefined ? '' : `what to do: ${error.remedy}\n`}`);
    return error.exitCode;
  }
}

// Ends here, whatever a client library may have left open.
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? messageOf(error)) : messageOf(error)}\n`);
    process.exit(1);
  },
);
