import type { Service } from '../service.ts';
import type { ConsumerReading } from './consumer.ts';
import type { ConsumerHealth } from './health.ts';

/** A role that reads a topic, as the process sees it. */
export interface ConsumerRole {
  /** In the order they are started. */
  readonly services: readonly Service[];
  readonly health: ConsumerHealth;
  /** Exact lag of the partitions this instance owns, and whether its consumer moves. */
  reading(): ConsumerReading;
}
