import { messageOf } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import type { Admin, Kafka } from '../kafka/index.ts';
import type { Logger } from '../log.ts';
import type { Service } from '../service.ts';
import type { LagTracker } from './lag.ts';
import type { GroupMemory } from './memory.ts';

export interface EndOffsetsDeps {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly groupId: string;
  readonly lag: LagTracker;
  readonly memory?: GroupMemory | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const POLL_MS = 5_000;
/** A memory that takes longer is done without, this time. */
const MEMORY_MS = 1_000;

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
    // Before Kafka is asked, as GroupMemory says.
    const observe = await this.#recall();
    const ends = await this.#admin.fetchTopicOffsets(topic);
    const [group] = await this.#admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = new Map(group?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]));
    const now = clock.now();
    const monotonic = clock.monotonic();
    lag.counted(topic, ends.length, monotonic);
    const seen = ends.map(({ partition, high, low }) => {
      const at = committed.get(partition) ?? -1n;
      return { partition, end: BigInt(high), committed: at < 0n ? BigInt(low) : at };
    });
    for (const { partition, end, committed: at } of seen) lag.ends(topic, partition, end, at, now, monotonic);
    if (observe === undefined) return;
    const replaying = await this.#soon(observe(seen.map((each) => ({ ...each, ...lag.look(topic, each.partition) }))));
    if (replaying !== undefined) lag.looked(topic, replaying);
  }

  #recall(): Promise<Awaited<ReturnType<GroupMemory['recall']>> | undefined> {
    const { memory, groupId, topic } = this.#deps;
    return memory === undefined ? Promise.resolve(undefined) : this.#soon(memory.recall(groupId, topic));
  }

  /** While the memory's database is away or slow, lag is read all the same. */
  #soon<T>(answer: Promise<T>): Promise<T | undefined> {
    const { clock, logger } = this.#deps;
    const told = answer.catch((error: unknown) => {
      logger.debug({ error: messageOf(error) }, 'where the group had been is not known');
      return undefined;
    });
    return withDeadline(told, { ms: MEMORY_MS, clock, late: () => undefined });
  }
}
