import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { OrdersObserver } from './observer.ts';
import { countOrders } from './select.sql.ts';
import { WEBHOOK_OUTCOMES, type WebhookOutcome } from './webhook.ts';

/** The observer for production: metrics, and a log line for what an operator would want to have been told. */
export function ordersMetrics(metrics: Metrics, logger: Logger): OrdersObserver {
  return {
    claimed: (sellers) => logger.debug({ sellers }, 'looking at orders of sellers'),
    applied(userId, { changed, events }) {
      for (const { state } of changed) metrics.ordersSeen.inc({ state: KNOWN_STATES.has(state) ? state : 'other' });
      for (const { quantity } of events) metrics.orderCopies.inc({ way: quantity < 0 ? 'sold' : 'returned' }, Math.abs(quantity));
      for (const { orderId, state, lines } of changed) {
        const unmapped = lines.filter(({ itemId }) => itemId === null).length;
        if (unmapped > 0) logger.warn({ userId, orderId, lines: unmapped }, 'sold on CardTrader, and tied to nothing here: stock is not changed; `brx-sync orders list --unmapped` shows it');
        if (!KNOWN_STATES.has(state)) logger.warn({ userId, orderId, state }, 'an order is in a state nobody here knows: it changes no stock');
      }
      logger.debug({ userId, orders: changed.length, events: events.length }, 'orders changed');
    },
    unreadable(userId, orders) {
      metrics.ordersUnreadable.inc(orders);
      logger.error({ userId, orders }, 'orders of CardTrader could not be read: they change no stock');
    },
    refused(userId, error) {
      metrics.ordersUnreadable.inc();
      logger.error({ userId, error }, 'the database does not take an order: it changes no stock');
    },
    counted(userId, itemId, answer) {
      metrics.orderCounts.inc({ answer });
      if (answer === 'unclear') logger.warn({ userId, itemId }, 'it cannot be told whether cancelled copies are on sale on CardTrader again; `brx-sync orders resolve` says so');
    },
    looked(userId, { listed, webhooks, problem }) {
      metrics.orderLooks.inc({ why: listed ? 'poll' : 'webhook', outcome: problem === null ? 'ok' : 'failed' });
      if (problem === null) logger.debug({ userId, listed, webhooks }, 'orders looked at');
      else logger.warn({ userId, error: problem }, 'a look at orders came to nothing; tried again soon');
    },
    tokenUnusable: (userId, error) => logger.error({ userId, error }, 'the seller’s orders cannot be read with the token at hand'),
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    waiting: (error) => logger.warn({ error }, 'the look at orders waits for the database'),
  };
}

const KNOWN_STATES: ReadonlySet<string> = new Set(['paid', 'sent', 'arrived', 'done', 'hub_pending', 'request_for_cancel', 'canceled', 'lost', 'closed', 'destroyed']);

/** Webhooks by outcome; every series is there from the start, so that the first forged one is a rise. */
export function webhookMetrics(metrics: Metrics): (outcome: WebhookOutcome) => void {
  for (const outcome of WEBHOOK_OUTCOMES) metrics.webhooks.inc({ outcome }, 0);
  return (outcome) => metrics.webhooks.inc({ outcome });
}

/** Orders as they stand, read at each scrape. */
export function watchOrders(metrics: Metrics, postgres: Postgres, { logger, pollMs }: { logger: Logger; pollMs: number }): void {
  metrics.countBeforeScrape({
    logger,
    what: 'orders are not counted',
    async read() {
      const counts = await countOrders(postgres.prisma, pollMs / 1_000);
      metrics.orderPollOverdue.set(counts.overdueSeconds);
      metrics.orderPollsFailing.set(counts.failing);
      metrics.orderLinesUnmapped.set(counts.unmapped);
      metrics.orderCopiesUnresolved.set(counts.unresolved);
      metrics.ordersUndecided.set(counts.undecided);
      metrics.webhooksWaiting.set(counts.webhooksWaiting);
    },
    unknown() {
      for (const gauge of [metrics.orderPollOverdue, metrics.orderPollsFailing, metrics.orderLinesUnmapped, metrics.orderCopiesUnresolved, metrics.ordersUndecided, metrics.webhooksWaiting]) gauge.set(Number.NaN);
    },
  });
}
