import type { OrdersConfig } from '../config.ts';
import { TOPICS, topicName } from '../contract/index.ts';
import type { BrxError } from '../errors.ts';
import type { Access } from '../marketplace/index.ts';
import type { Clock } from '../platform/clock.ts';
import { randomUuid } from '../platform/ids.ts';
import { createEncoder, type Registry } from '../platform/kafka/index.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { OrdersObserver } from './observer.ts';
import { OrdersPoller } from './poller.ts';

export interface OrdersRoleDeps {
  readonly config: OrdersConfig;
  readonly topicPrefix: string;
  readonly registry: Pick<Registry, 'versions'>;
  readonly postgres: Postgres;
  readonly access: Access;
  readonly clock: Clock;
  readonly observer: OrdersObserver;
  readonly onEnqueued: () => void;
  readonly onFatal: (error: BrxError) => void;
}

/** What the ledger of orders needs beside a transaction. */
export const ordersContext = (registry: Pick<Registry, 'versions'>, topicPrefix: string) => ({ encoder: createEncoder(registry, ['InventoryChanged']), marketplaceEvents: topicName(topicPrefix, TOPICS.marketplaceEvents) });

export function createOrders({ config, topicPrefix, registry, ...deps }: OrdersRoleDeps): OrdersPoller {
  return new OrdersPoller({ ...deps, ...ordersContext(registry, topicPrefix), owner: randomUuid(), sellersAtOnce: config.sellers, pollMs: config.pollMs, settleMs: config.settleMs });
}
