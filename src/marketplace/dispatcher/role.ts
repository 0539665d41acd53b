import type { Config } from '../../config.ts';
import { TOPICS, topicName } from '../../contract/index.ts';
import type { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { randomUuid } from '../../platform/ids.ts';
import { createEncoder, type Registry } from '../../platform/kafka/index.ts';
import type { Postgres } from '../../platform/postgres/index.ts';
import type { Tracer } from '../../platform/tracing/index.ts';
import type { Access } from '../access.ts';
import { Dispatcher } from './dispatcher.ts';
import { REMOTE_STOCK_RECORDS } from './messages.ts';
import type { DispatcherObserver } from './observer.ts';

export interface DispatcherRoleDeps {
  readonly config: Pick<Config, 'dispatcher' | 'marketplace'>;
  readonly topicPrefix: string;
  readonly registry: Pick<Registry, 'versions'>;
  readonly postgres: Postgres;
  readonly access: Access;
  readonly clock: Clock;
  readonly observer: DispatcherObserver;
  readonly onEnqueued: () => void;
  readonly tracer?: Tracer;
  readonly onFatal: (error: BrxError) => void;
}

export function createDispatcher({ config: { dispatcher, marketplace }, topicPrefix, registry, postgres, access, clock, observer, onEnqueued, tracer, onFatal }: DispatcherRoleDeps): Dispatcher {
  return new Dispatcher({
    postgres,
    clock,
    owner: randomUuid(),
    leaseMs: dispatcher.leaseMs,
    quarantineMs: dispatcher.quarantineMs,
    writeTimeoutMs: marketplace.writeTimeoutMs,
    sellersAtOnce: dispatcher.sellers,
    operationsAtOnce: dispatcher.operations,
    bulkItems: dispatcher.bulkItems,
    jobsAtOnce: dispatcher.jobs,
    jobPatienceMs: dispatcher.jobPatienceMs,
    dataFieldLength: marketplace.dataFieldLength,
    encoder: createEncoder(registry, REMOTE_STOCK_RECORDS),
    sagaEvents: topicName(topicPrefix, TOPICS.sagaEvents),
    client: access.client,
    limiter: access.limiter,
    keyring: access.keyring,
    observer,
    onEnqueued,
    ...(tracer !== undefined && { tracer }),
    onFatal,
  });
}
