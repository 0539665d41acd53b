import { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Session, SessionOptions } from '../platform/postgres/index.ts';
import { RELAY_SHARDS } from './message.ts';
import { joinRelays, pingSession, readRelays, releaseShards, takeShards } from './shards.sql.ts';

/** How often a relay looks whether the shards are shared out fairly. */
const LOOK_MS = 1_000;
/** The server ends a session that says nothing for so long: a frozen relay's shards are free after it. */
const LEASE_MS = 10_000;
/** How often a session says that it lives. */
const PING_MS = 2_500;

/**
 * What the relay's session must be opened with. Every statement of it looks along a key, whatever statistics say of a table that is
 * empty at one moment and full at the next. A deletion that a crash of PostgreSQL undoes costs copies, so it need not wait for the disk.
 */
export const RELAY_SESSION: Pick<SessionOptions, 'idleMs' | 'settings'> = {
  idleMs: LEASE_MS,
  settings: ['plan_cache_mode=force_generic_plan', 'enable_seqscan=off', 'enable_bitmapscan=off', 'enable_hashjoin=off', 'enable_mergejoin=off', 'jit=off', 'synchronous_commit=off'],
};

/**
 * The shards this relay owns: session advisory locks, so that a shard has one owner, and none whose process or connection is gone.
 * Each relay takes its share, which differs by one at most.
 *
 * A frozen process keeps its connection, so the server ends a session that is silent for LEASE_MS (`idle_session_timeout`), and
 * the relay itself believes in its shards no longer than that after the last answer (`confirm`). What a zombie sends in the moment
 * between that look and Kafka was read while the shard was its own: it repeats a prefix of what the new owner sends, in the same
 * order, and receivers know the ids.
 */
export class Shards {
  readonly #session: Session;
  readonly #clock: Clock;
  #owned: number[] = [];
  #confirmed: number;
  #nextLook = 0;

  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
    this.#confirmed = clock.monotonic();
  }

  get owned(): readonly number[] {
    return this.#owned;
  }

  join(): Promise<void> {
    return this.#answered(() => joinRelays(this.#session));
  }

  /** Takes or gives back shards if it is time to look. Between two batches only: what is given back must not be under way. */
  async balance(): Promise<void> {
    if (this.#clock.monotonic() < this.#nextLook) return;
    this.#nextLook = this.#clock.monotonic() + LOOK_MS;
    await this.#answered(async () => {
      const { relays, before } = await readRelays(this.#session);
      const share = Math.ceil(Math.max(0, RELAY_SHARDS - before) / relays);
      const surplus = this.#owned.slice(share);
      if (surplus.length > 0) {
        this.#owned = this.#owned.slice(0, share);
        await releaseShards(this.#session, surplus);
      } else if (this.#owned.length < share) {
        const others = Array.from({ length: RELAY_SHARDS }, (_, shard) => shard).filter((shard) => !this.#owned.includes(shard));
        // From a place of its own, so that two that start together do not race for the same shards one after the other.
        const start = Math.floor(this.#clock.random() * others.length);
        const taken = await takeShards(this.#session, [...others.slice(start), ...others.slice(0, start)], share - this.#owned.length);
        this.#owned = [...this.#owned, ...taken].sort((a, b) => a - b);
      }
    });
  }

  /** Returns while what is owned may be acted on. Asks when the last answer is not fresh; throws when the shards may be somebody else's. */
  async confirm(): Promise<void> {
    if (!this.#session.lost && this.#age < LEASE_MS / 2) return;
    await this.#ping();
    if (this.#session.lost || this.#age >= LEASE_MS) throw new BrxError('BRX_DATABASE_UNAVAILABLE', 'the relay’s session did not answer in time: its shards may be somebody else’s');
  }

  /** Keeps the session alive while a send takes long, until `signal` is aborted or the session is gone. */
  async keepAlive(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#session.lost) {
      await this.#clock.sleep(PING_MS, signal).catch(() => undefined); // over
      if (signal.aborted) return;
      await this.#ping().catch(() => undefined); // the session knows that it is lost
    }
  }

  #ping(): Promise<void> {
    return this.#answered(() => pingSession(this.#session));
  }

  /** Milliseconds since the session was last known to live. */
  get #age(): number {
    return this.#clock.monotonic() - this.#confirmed;
  }

  /** The lease counts from before the question: the server's own clock for the session starts after its answer. */
  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#clock.monotonic();
    const answer = await ask();
    this.#confirmed = asked;
    return answer;
  }
}
