import type { CatalogueConfig } from '../config.ts';
import type { Clock } from '../platform/clock.ts';
import type { Redis } from '../platform/redis/index.ts';
import { mappingText, readMapping, type Mapping } from './mapping.ts';

/**
 * Mappings in Redis, for all processes: `blueprint_mapping:{id}`. Beside them the *edition*, a random word that each invalidation changes. What
 * was read from MySQL under one edition is not written under another: an answer that was on its way when somebody said "forget it" stays away.
 * Everything rejects with BRX_REDIS_UNAVAILABLE.
 */
const KEY = 'blueprint_mapping:';
const EDITION_KEY = 'blueprint_mappings:edition'; // not matched by KEY*
/** Keys of one script: a fraction of a millisecond in which Redis serves nobody else. */
const MOST_KEYS = 500;
const TTL_JITTER = 0.1;

/** KEYS: edition, then mappings. ARGV: the edition these were read under, then text and milliseconds of each. */
const WRITE = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[2 * i - 2], 'PX', ARGV[2 * i - 1]) end
return #KEYS - 1`;
/** KEYS: edition, then what is to go. ARGV: the new edition. First the edition, so that nothing comes in behind. Answers how many there were. */
const FORGET = `
redis.call('SET', KEYS[1], ARGV[1])
local gone = 0
for i = 2, #KEYS do gone = gone + redis.call('UNLINK', KEYS[i]) end
return gone`;

export interface SharedAnswer {
  /** Empty as long as nothing was ever invalidated. */
  readonly edition: string;
  /** Those that are there and readable. */
  readonly mappings: ReadonlyMap<number, Mapping>;
}

export class SharedMappings {
  readonly #redis: Redis;
  readonly #config: Pick<CatalogueConfig, 'ttlMs' | 'unknownTtlMs'>;
  readonly #clock: Clock;
  readonly #write: ReturnType<Redis['script']>;
  readonly #forget: ReturnType<Redis['script']>;

  constructor(redis: Redis, config: Pick<CatalogueConfig, 'ttlMs' | 'unknownTtlMs'>, clock: Clock) {
    this.#redis = redis;
    this.#config = config;
    this.#clock = clock;
    this.#write = redis.script(WRITE);
    this.#forget = redis.script(FORGET);
  }

  get isReady(): boolean {
    return this.#redis.state === 'ready';
  }

  async read(ids: readonly number[]): Promise<SharedAnswer> {
    const [edition, ...texts] = await this.#redis.getMany([EDITION_KEY, ...ids.map((id) => `${KEY}${id}`)]);
    const mappings = new Map<number, Mapping>();
    ids.forEach((id, index) => {
      const text = texts[index];
      const mapping = text === null || text === undefined ? undefined : readMapping(text);
      if (mapping !== undefined) mappings.set(id, mapping);
    });
    return { edition: edition ?? '', mappings };
  }

  /** Writes what was read from MySQL under `edition`, unless there is another one by now. Answers how many were written. */
  async write(edition: string, mappings: ReadonlyMap<number, Mapping>): Promise<number> {
    let written = 0;
    for (const part of partsOf([...mappings])) {
      const keys = part.map(([id]) => `${KEY}${id}`);
      written += Number(await this.#write([EDITION_KEY, ...keys], [edition, ...part.flatMap(([, mapping]) => [mappingText(mapping), this.#ttl(mapping)])]));
    }
    return written;
  }

  /** Takes these, or all, out of Redis, and tells every process to drop its memory. Answers how many there were. */
  async forget(ids: readonly number[] | 'all'): Promise<number> {
    let gone = 0;
    for (const part of ids === 'all' ? [[]] : partsOf(ids)) gone += await this.#forgetKeys(part.map((id) => `${KEY}${id}`));
    if (ids !== 'all') return gone;
    for await (const keys of this.#redis.scan(`${KEY}*`)) {
      for (const part of partsOf(keys)) gone += await this.#forgetKeys(part);
    }
    return gone;
  }

  async #forgetKeys(keys: readonly string[]): Promise<number> {
    return Number(await this.#forget([EDITION_KEY, ...keys], [Math.floor(this.#clock.random() * 2 ** 48).toString(36) + this.#clock.now().toString(36)]));
  }

  /** A tenth more or less, so that what was written together does not end together. */
  #ttl({ kind }: Mapping): number {
    const ttl = kind === 'print' ? this.#config.ttlMs : this.#config.unknownTtlMs;
    return Math.round(ttl * (1 - TTL_JITTER + 2 * TTL_JITTER * this.#clock.random()));
  }
}

function partsOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / MOST_KEYS) }, (_, index) => all.slice(index * MOST_KEYS, (index + 1) * MOST_KEYS));
}
