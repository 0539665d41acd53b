import { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Redis } from '../../platform/redis/index.ts';
import type { Bucket } from '../buckets.ts';
import { FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE } from './adaptive.ts';
import type { LeftOver } from './ahead.ts';
import { Batch } from './batch.ts';
import { LEASE_MS, PATIENCE_MS, rulesFor, type LimiterConfig, type Rule } from './rules.ts';
import { INSPECT, LATELY, NOTE, PAUSE, TAKE, THROTTLED } from './scripts.ts';
import type { Lease, SellerView, View } from './source.ts';

/** Questions of several sellers go together, so many milliseconds apart: a round trip costs more than what it asks. */
const BATCH_MS = 5;
/** 50 keep Redis busy for half a millisecond. */
const BATCH_QUESTIONS = 50;
/** Answers that come too late for so long mean that Redis is no use, though it is there. */
const TOO_SLOW_MS = 2_000;
/** A look at 50 sellers keeps Redis busy for a millisecond at most: whoever wants more asks again. */
const LOOK_SELLERS = 50;
/** The longest pause after a 429, and the windows until the limit is full again: a seller is of interest for so many windows. */
const LATELY_WINDOWS = LONGEST_PAUSE + 10;

interface Question {
  readonly userId: string;
  readonly rules: readonly Rule[];
  readonly wanted: number;
  readonly left: LeftOver;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (reason: unknown) => void;
}

/** Tokens counted in Redis, for all processes. Everything rejects with BRX_REDIS_UNAVAILABLE while it is away, or too slow to be of use. */
export class SharedSource {
  readonly #redis: Redis;
  readonly #config: LimiterConfig;
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #take: ReturnType<Redis['script']>;
  readonly #throttled: ReturnType<Redis['script']>;
  readonly #pause: ReturnType<Redis['script']>;
  readonly #inspect: ReturnType<Redis['script']>;
  readonly #note: ReturnType<Redis['script']>;
  readonly #lately: ReturnType<Redis['script']>;
  /** Who took tokens since it was last noted. */
  #took = new Set<string>();
  readonly #questions: Batch<Question>;
  #lateSince: number | undefined;

  constructor(redis: Redis, config: LimiterConfig, clock: Clock) {
    this.#redis = redis;
    this.#config = config;
    this.#clock = clock;
    this.#silenceMs = config.windowMs + config.marginMs;
    this.#take = redis.script(TAKE);
    this.#throttled = redis.script(THROTTLED);
    this.#pause = redis.script(PAUSE);
    this.#inspect = redis.script(INSPECT);
    this.#note = redis.script(NOTE);
    this.#lately = redis.script(LATELY);
    this.#questions = new Batch(clock, { everyMs: BATCH_MS, most: BATCH_QUESTIONS }, (questions) => void this.#ask(questions));
  }

  get connecting(): boolean {
    return this.#redis.state === 'connecting';
  }

  /** Up to so many tokens. `left`: what the seller did not use of earlier ones, to be given back. */
  take(userId: string, bucket: Bucket, wanted: number, left: LeftOver): Promise<Lease> {
    return new Promise((resolve, reject) => this.#questions.add({ userId, rules: rulesFor(this.#config, bucket), wanted, left, resolve, reject }));
  }

  async throttled(userId: string, bucket: Bucket, retryAfterMs: number | null): Promise<void> {
    const rule = ruleOf(this.#config, bucket);
    const { windowMs } = this.#config;
    const pauses = [FIRST_PAUSE, SHORTEST_PAUSE, LONGEST_PAUSE].map((part) => Math.round(part * windowMs));
    this.#runId();
    this.#took.add(userId);
    await this.#throttled([stateKey(userId, rule)], [rule.limit, rule.windowMs, windowMs, retryAfterMs === null ? -1 : Math.ceil(retryAfterMs), ...pauses]);
  }

  /** Nothing for this seller for so long, in any process. */
  async pause(userId: string, ms: number): Promise<void> {
    this.#runId();
    await this.#pause([stateKey(userId, ruleOf(this.#config, 'all'))], [Math.ceil(ms)]);
  }

  async inspect(userId: string, bucket: Bucket): Promise<View> {
    const [view] = await this.#views([userId], ruleOf(this.#config, bucket));
    if (view === undefined) throw new BrxError('BRX_INTERNAL', 'one seller was asked about, and none answered');
    return view;
  }

  /** Notes who took tokens since the last time, so that somebody who looks need not search for them. Called now and then: no token waits for it. */
  async note(): Promise<void> {
    if (this.#took.size === 0) return;
    const took = [...this.#took];
    this.#took = new Set();
    await this.#note([SELLERS], [this.#latelyMs, ...took]);
  }

  /** Sellers that took tokens lately, at most so many, and how many there are. */
  async lately(most: number): Promise<{ active: number; silentMs: number; sellers: SellerView[] }> {
    const found = await this.#lately([SELLERS], [most, this.#latelyMs]);
    if (!Array.isArray(found) || typeof found[0] !== 'number') throw new BrxError('BRX_INTERNAL', 'the rate limiter’s script answered something else');
    const [active, ...userIds] = found as [number, ...string[]];
    const rule = ruleOf(this.#config, 'all');
    const sellers: SellerView[] = [];
    for (let from = 0; from < userIds.length; from += LOOK_SELLERS) {
      const some = userIds.slice(from, from + LOOK_SELLERS);
      (await this.#views(some, rule)).forEach((view, index) => sellers.push({ ...view, userId: some[index] ?? '' }));
    }
    const [nobody] = sellers.length > 0 ? [] : await this.#views([''], rule);
    return { active, silentMs: sellers[0]?.silentMs ?? nobody?.silentMs ?? 0, sellers };
  }

  /** Whether it answers soon enough to be of use; rejects when it does not answer. */
  async answers(): Promise<boolean> {
    this.#runId();
    const begun = this.#clock.monotonic();
    await this.#redis.ping();
    return !this.#isLate(begun);
  }

  async #views(userIds: readonly string[], rule: Rule): Promise<View[]> {
    const answer = await this.#inspect([EPOCH, ...userIds.flatMap((userId) => [leasesKey(userId, rule), stateKey(userId, rule)])], [this.#runId(), this.#silenceMs, rule.limit, rule.windowMs, this.#config.windowMs]);
    const numbers = integers(answer, 4 * userIds.length);
    return userIds.map((_, index) => {
      const [limit = 0, used = 0, pausedMs = 0, silentMs = 0] = numbers.slice(4 * index, 4 * index + 4);
      return { full: rule.limit, limit, used, pausedMs, silentMs };
    });
  }

  get #latelyMs(): number {
    return LATELY_WINDOWS * this.#config.windowMs;
  }

  async #ask(questions: readonly Question[]): Promise<void> {
    try {
      const begun = this.#clock.monotonic();
      const keys = questions.flatMap(({ userId, rules }) => rules.flatMap((rule) => [leasesKey(userId, rule), stateKey(userId, rule)]));
      const args = questions.flatMap(({ wanted, left, rules }) => [wanted, left.count, left.stamp, rules.length, ...rules.flatMap(({ limit, windowMs }) => [limit, windowMs])]);
      const answers = integers(await this.#take([EPOCH, ...keys], [this.#runId(), PATIENCE_MS, this.#silenceMs, this.#config.windowMs, ...args]), 1 + 3 * questions.length);
      const [stamp = 0] = answers;
      const late = this.#isLate(begun);
      for (const [n, { userId, resolve }] of questions.entries()) {
        const [granted = 0, waitMs = 0, blocker = 0] = answers.slice(1 + 3 * n, 4 + 3 * n);
        if (granted > 0) this.#took.add(userId);
        const lease = { askedAt: begun, stamp };
        resolve(late ? { ...lease, granted: 0, waitMs: 0, lost: granted, ownBucketOnly: false } : { ...lease, granted, waitMs, lost: 0, ownBucketOnly: blocker > 1 });
      }
    } catch (error) {
      for (const { reject } of questions) reject(error);
    }
  }

  /**
   * The server counted the tokens at some moment between question and answer, so they are at most as old as the question. Late ones are not used:
   * their requests might arrive in a window in which others were allowed instead.
   */
  #isLate(begun: number): boolean {
    const now = this.#clock.monotonic();
    if (now - begun <= LEASE_MS) {
      this.#lateSince = undefined;
      return false;
    }
    this.#lateSince ??= now;
    if (now - this.#lateSince > TOO_SLOW_MS) throw new BrxError('BRX_REDIS_UNAVAILABLE', `Redis: its answers have come after more than ${LEASE_MS} ms for ${TOO_SLOW_MS} ms`);
    return true;
  }

  /** Read in the same turn in which the command is sent, so it is that of the server which will execute it. */
  #runId(): string {
    const { runId } = this.#redis;
    if (runId === undefined) throw new BrxError('BRX_REDIS_UNAVAILABLE', 'Redis: there is no connection');
    return runId;
  }
}

const EPOCH = 'rate_limit:epoch';
const SELLERS = 'rate_limit:sellers';
const leasesKey = (userId: string, { bucket }: Rule): string => `rate_limit:{${userId}}${bucket === 'all' ? '' : `:${bucket}`}`;
const stateKey = (userId: string, rule: Rule): string => `${leasesKey(userId, rule)}:state`;

function ruleOf(config: LimiterConfig, bucket: Bucket): Rule {
  const rule = rulesFor(config, bucket).at(-1);
  if (rule === undefined) throw new BrxError('BRX_INTERNAL', `no rule for ${bucket}`);
  return rule;
}

function integers(answer: unknown, length: number): number[] {
  if (!Array.isArray(answer) || answer.length !== length || !answer.every((each) => Number.isSafeInteger(each))) throw new BrxError('BRX_INTERNAL', 'the rate limiter’s script answered something else');
  return answer as number[];
}
