import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { watchRedis } from '../platform/redis/index.ts';
import { traceFields } from '../platform/tracing/index.ts';
import type { Access, AccessOptions } from './access.ts';
import { countMarketplace } from './counts.sql.ts';
import type { DispatcherObserver } from './dispatcher/observer.ts';
import { OPERATION_STATES } from './operations/index.ts';
import { SELLER_STATUSES } from './sellers/index.ts';

/** The dispatcher's observer for production. */
export function dispatcherMetrics(metrics: Metrics, { clock, logger }: { clock: Clock; logger: Logger }): DispatcherObserver {
  return {
    claimed: (sellers) => logger.debug({ sellers }, 'sellers claimed'),
    settled(work, result) {
      const { userId, id, purchaseId, kind } = work;
      metrics.operations.inc({ kind: kind.toLowerCase(), state: result.to.toLowerCase() });
      if (kind === 'SYNC' && result.to === 'APPLIED') metrics.syncSeconds.observe((clock.now() - work.createdAt) / 1_000);
      if (result.problem !== undefined && result.problem !== null) {
        metrics.listingProblems.inc({ kind: result.problem.kind });
        logger.warn({ userId, itemId: work.listing.itemId, kind: result.problem.kind, said: result.problem.said }, 'CardTrader does not take all of an item');
      }
      if (result.againMs === null) metrics.operationSeconds.observe({ kind: kind.toLowerCase() }, (clock.now() - work.createdAt) / 1_000);
      if (result.to === 'NEEDS_OPERATOR') logger.error({ userId, operationId: id, purchaseId, kind, ...traceFields(work.traceparent) }, 'an operation on CardTrader needs an operator: its outcome cannot be told; `brx-sync saga show` has what was seen');
      else if (result.to === 'UNKNOWN' && work.state === 'PENDING') logger.warn({ userId, operationId: id, purchaseId, kind, ...traceFields(work.traceparent) }, 'the answer to a write was lost; it is looked into after the quarantine');
      const found = result.listing?.mismatch;
      if (found !== undefined && found !== null && found.operationId === id) {
        metrics.listingMismatches.inc({ kind: found.kind });
        logger.warn({ ...found, userId, itemId: work.listing.itemId, productId: work.listing.productId, ...traceFields(work.traceparent) }, 'CardTrader shows what nothing here explains; `brx-sync listings list --mismatched` lists it');
      }
    },
    leaseLost: (userId) => logger.warn({ userId }, 'the lease of a seller was over before its work was; somebody else has the seller'),
    tokenRejected: (userId) => logger.error({ userId }, 'CardTrader rejects the seller’s token; their operations wait until `brx-sync users add` brings a new one'),
    tokenUnreadable: (userId, error) => logger.error({ userId, error }, 'the seller’s token cannot be opened'),
    circuitOpened: (userId, ms) => logger.warn({ userId, seconds: Math.round(ms / 1_000) }, 'CardTrader gives no usable answers for this seller; nothing is called for a while'),
    refused: (userId, error) => logger.error({ userId, error }, 'the database refuses what is to be recorded for this seller; tried again once the lease is over'),
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    waiting: (error) => logger.warn({ error }, 'the dispatcher waits for the database'),
  };
}

/** What calls to CardTrader tell: how many, how they ended, how long they waited for their turn. */
export function accessMetrics(metrics: Metrics): Pick<AccessOptions, 'observeCalls' | 'observeLimiter'> {
  return {
    observeCalls({ endpoint, outcome, reason, durationMs }) {
      metrics.upstreamRequests.inc({ endpoint, outcome, reason });
      metrics.upstreamSeconds.observe({ endpoint }, durationMs / 1_000);
    },
    observeLimiter: {
      waited: (bucket, ms) => metrics.limiterWaitSeconds.observe({ bucket }, ms / 1_000),
      mode: (source) => metrics.limiterShared.set(source === 'shared' ? 1 : 0),
      throttled: (bucket) => metrics.limiterThrottled.inc({ bucket }),
      lost: (tokens) => metrics.limiterLost.inc(tokens),
    },
  };
}

/** Connections, Redis and the limiter of whoever calls CardTrader. */
export function watchAccess(metrics: Metrics, access: Access, logger: Logger): void {
  metrics.watchPool('cardtrader', () => access.client.state());
  const { redis } = access;
  if (redis !== undefined) watchRedis(metrics, redis, logger);
  metrics.limiterShared.set(access.limiter.source === 'shared' ? 1 : 0);
  metrics.beforeScrape(() => metrics.limiterWaiting.set(access.limiter.waiting.requests));
}

/** Sellers, operations and listings as they stand, read at each scrape, whoever is asked: that nobody calls CardTrader is seen by those who do not. */
export function watchMarketplace(metrics: Metrics, postgres: Postgres, logger: Logger): void {
  metrics.countBeforeScrape({
    logger,
    what: 'the marketplace’s rows are not counted',
    async read() {
      const counts = await countMarketplace(postgres.prisma);
      for (const status of Object.keys(SELLER_STATUSES)) metrics.sellers.set({ status }, counts.sellers.get(status) ?? 0);
      for (const state of OPERATION_STATES.slice(0, 3)) metrics.operationsOpen.set({ state: state.toLowerCase() }, counts.operations.get(state) ?? 0);
      metrics.openCircuits.set(counts.openCircuits);
      metrics.operationsOldest.set(counts.oldestDueSeconds);
      metrics.operationsNeedOperator.set(counts.needOperator);
      metrics.listingsMismatched.set(counts.mismatches);
      metrics.syncDue.set(counts.syncs);
      metrics.syncOldest.set(counts.oldestSyncSeconds);
      metrics.listingsProblematic.set(counts.problems);
    },
    unknown() {
      metrics.sellers.reset();
      metrics.operationsOpen.reset();
      for (const gauge of [metrics.openCircuits, metrics.operationsOldest, metrics.operationsNeedOperator, metrics.listingsMismatched, metrics.syncDue, metrics.syncOldest, metrics.listingsProblematic]) gauge.set(Number.NaN);
    },
  });
}
