import { messageOf } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Admin, Kafka } from '../platform/kafka/index.ts';
import type { Logger } from '../platform/log.ts';
import type { Service } from '../platform/service.ts';
import type { LagTracker } from './lag.ts';

export interface EndOffsetsDeps {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly groupId: string;
  readonly lag: LagTracker;
  readonly clock: Clock;
  readonly logger: Logger;
}

const POLL_MS = 5_000;

/** Asks the broker where the partitions end, so that lag is also true for partitions that are idle, held or not yet fetched. */
export class EndOffsets implements Service {
  readonly name = 'end offsets';
  readonly #deps: EndOffsetsDeps;
  readonly #stop = new AbortController();
  #admin: Admin | undefined;
  #loop: Promise<void> | undefined;

  constructor(deps: EndOffsetsDeps) {
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.#loop = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopping'));
    await this.#loop;
    await this.#admin?.disconnect();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#poll().catch((error: unknown) => this.#deps.logger.debug({ error: messageOf(error) }, 'end offsets not read; lag is as of the last fetch'));
      await this.#deps.clock.sleep(POLL_MS, this.#stop.signal).catch(() => undefined); // stopping
    }
  }

  async #poll(): Promise<void> {
    const { kafka, topic, groupId, lag, clock } = this.#deps;
    if (this.#admin === undefined) {
      const admin = kafka.admin();
      await admin.connect();
      this.#admin = admin;
    }
    const ends = await this.#admin.fetchTopicOffsets(topic);
    const [group] = await this.#admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = new Map(group?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]));
    const now = clock.now();
    for (const { partition, high, low } of ends) {
      const at = committed.get(partition) ?? -1n;
      lag.ends(topic, partition, BigInt(high), at < 0n ? BigInt(low) : at, now);
    }
  }
}
