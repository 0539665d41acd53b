import { LRUCache } from 'lru-cache';
import type { CatalogueConfig } from '../config.ts';
import { BrxError, messageOf } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Mysql } from '../platform/mysql/index.ts';
import { Together } from '../platform/together.ts';
import { isBlueprintId, MAPPING_KINDS, mappingOf, type Mapping } from './mapping.ts';
import { SILENT, SOURCES, type CatalogueObserver, type Source } from './observer.ts';
import { findPrints, MOST_IDS } from './prints.sql.ts';
import type { SharedAnswer, SharedMappings } from './shared.ts';

export interface CatalogueDeps {
  readonly mysql: Pick<Mysql, 'query'>;
  /** Undefined: memory and MySQL only. */
  readonly shared: SharedMappings | undefined;
  readonly config: CatalogueConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: CatalogueObserver;
}

export interface Found {
  readonly mapping: Mapping;
  readonly source: Source;
}

/** Look-ups in Redis and MySQL under way at once; each of up to MOST_IDS ids. */
const PARALLEL_BATCHES = 4;
/** Memory is used without asking Redis whether something was invalidated for so long. */
const EDITION_CHECK_MS = 10_000;

/**
 * Which print a blueprint is: memory, then Redis, then MySQL. However many ask for an id at once, it is looked for once; what is asked
 * for at about the same time goes in one round trip. An answer is never older than the times of the configuration allow: when it cannot be had, the
 * look-up rejects with a retryable BrxError (MySQL away or slow). "Unknown" is said only after MySQL has said so.
 */
export class Catalogue {
  readonly #deps: CatalogueDeps;
  readonly #observer: CatalogueObserver;
  readonly #memory: LRUCache<number, Mapping>;
  readonly #flights = new Map<number, Promise<Found>>();
  readonly #together: Together<number, Found>;
  readonly #writes = new Set<Promise<void>>();
  /** What memory holds was read under this edition of Redis, or before there was one. */
  #edition = '';
  /** Counts what empties memory: what was asked for before does not come in after. */
  #generation = 0;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;
  #redisFails = false;

  constructor(deps: CatalogueDeps) {
    this.#deps = deps;
    this.#observer = deps.observer ?? SILENT;
    this.#memory = new LRUCache({ max: deps.config.memoryEntries, ttl: deps.config.memoryTtlMs, ttlResolution: 0, perf: { now: () => deps.clock.monotonic() } });
    this.#together = new Together((ids) => this.#load(ids), { most: MOST_IDS, parallel: PARALLEL_BATCHES });
  }

  /** The mapping of each id. Rejects as a whole with a retryable BrxError; what was found meanwhile is kept, so that asking again is cheap. */
  async lookup(ids: Iterable<number>): Promise<Map<number, Mapping>> {
    const mappings = new Map<number, Mapping>();
    await this.#each(ids, (id, mapping) => mappings.set(id, mapping));
    return mappings;
  }

  /** The same, with where each answer came from. */
  async find(ids: Iterable<number>): Promise<Map<number, Found>> {
    const found = new Map<number, Found>();
    await this.#each(ids, (id, mapping, source) => found.set(id, { mapping, source }));
    return found;
  }

  async #each(ids: Iterable<number>, visit: (id: number, mapping: Mapping, source: Source) => void): Promise<void> {
    await this.#checkEdition();
    const counts = { memory: noCounts(), redis: noCounts(), mysql: noCounts() };
    const waiting: Promise<void>[] = [];
    for (const id of ids) {
      const mapping = this.#memory.get(id);
      if (mapping !== undefined) {
        visit(id, mapping, 'memory');
        counts.memory[mapping.kind] += 1;
        continue;
      }
      const flight = this.#flight(id).then((answer) => {
        visit(id, answer.mapping, answer.source);
        counts[answer.source][answer.mapping.kind] += 1;
      });
      waiting.push(flight);
    }
    if (waiting.length > 0) await Promise.all(waiting);
    for (const source of SOURCES) for (const kind of MAPPING_KINDS) if (counts[source][kind] > 0) this.#observer.answered(source, kind, counts[source][kind]);
  }

  /** Reads these anew from MySQL into Redis. Answers them. */
  async refresh(ids: readonly number[]): Promise<Map<number, Mapping>> {
    const mappings = new Map<number, Mapping>();
    for (let from = 0; from < ids.length; from += MOST_IDS) {
      const part = ids.slice(from, from + MOST_IDS);
      const edition = (await this.#read([]))?.edition;
      const fresh = await this.#ask(part);
      for (const [id, mapping] of fresh) mappings.set(id, mapping);
      await this.#write(edition, fresh);
    }
    return mappings;
  }

  /**
   * Forgets these, or all, here and in Redis; other processes drop their memory before a look-up more than 10 s from now. Rejects with
   * BRX_REDIS_UNAVAILABLE, then only this process has forgotten them. Answers how many Redis had.
   */
  async invalidate(ids: readonly number[] | 'all'): Promise<number> {
    this.#empty();
    const gone = await this.#deps.shared?.forget(ids);
    this.#empty(); // what came in while Redis still had it
    return gone ?? 0;
  }

  /** Once everything found so far is in Redis, or could not be written. */
  async settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  #flight(id: number): Promise<Found> {
    const under = this.#flights.get(id);
    if (under !== undefined) return under;
    if (!isBlueprintId(id)) return Promise.reject(new BrxError('BRX_INTERNAL', `${id} is no blueprint id: they are whole numbers above 0`));
    const flight = this.#together.do(id);
    const landed = (): void => {
      if (this.#flights.get(id) === flight) this.#flights.delete(id);
    };
    flight.then(landed, landed);
    this.#flights.set(id, flight);
    return flight;
  }

  async #load(ids: readonly number[]): Promise<Found[]> {
    const shared = await this.#read(ids);
    const generation = this.#generation;
    const known = shared?.mappings ?? new Map<number, Mapping>();
    const missing = ids.filter((id) => !known.has(id));
    const fresh = missing.length === 0 ? new Map<number, Mapping>() : await this.#ask(missing);
    if (fresh.size > 0) this.#keepWriting(shared?.edition, fresh);
    return ids.map((id): Found => {
      const [mapping, source] = known.has(id) ? ([known.get(id), 'redis'] as const) : ([fresh.get(id), 'mysql'] as const);
      if (mapping === undefined) throw new BrxError('BRX_INTERNAL', `no answer for blueprint ${id}`);
      if (generation === this.#generation) this.#remember(id, mapping); // else it may be what was to be forgotten: only who asked gets it
      return { mapping, source };
    });
  }

  /** From MySQL. */
  async #ask(ids: readonly number[]): Promise<Map<number, Mapping>> {
    const prints = await findPrints(this.#deps.mysql.query, ids);
    return new Map([...prints].map(([id, found]) => [id, mappingOf(found)]));
  }

  #remember(id: number, mapping: Mapping): void {
    const { memoryTtlMs, unknownTtlMs } = this.#deps.config;
    if (mapping.kind === 'print') this.#memory.set(id, mapping);
    else this.#memory.set(id, mapping, { ttl: Math.min(memoryTtlMs, unknownTtlMs) });
  }

  /** From Redis, and what edition it has; undefined without Redis. */
  async #read(ids: readonly number[]): Promise<SharedAnswer | undefined> {
    const answer = await this.#tryRedis('read', (shared) => shared.read(ids));
    if (answer === undefined) return undefined;
    this.#checkedAt = this.#deps.clock.monotonic();
    if (answer.edition !== '' && answer.edition !== this.#edition) {
      this.#edition = answer.edition;
      this.#empty();
    }
    return answer;
  }

  #keepWriting(edition: string | undefined, mappings: ReadonlyMap<number, Mapping>): void {
    const write = this.#write(edition, mappings).finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  async #write(edition: string | undefined, mappings: ReadonlyMap<number, Mapping>): Promise<void> {
    if (edition !== undefined) await this.#tryRedis('write', (shared) => shared.write(edition, mappings));
  }

  async #tryRedis<Result>(operation: 'read' | 'write', use: (shared: SharedMappings) => Promise<Result>): Promise<Result | undefined> {
    const { shared, logger } = this.#deps;
    if (shared === undefined) return undefined;
    try {
      const result = await use(shared);
      if (this.#redisFails) logger.info('blueprints are looked up in Redis again');
      this.#redisFails = false;
      return result;
    } catch (error) {
      this.#observer.redisFailed(operation);
      if (!this.#redisFails) logger.warn({ problem: messageOf(error) }, 'blueprints are looked up in MySQL directly, without Redis');
      this.#redisFails = true;
      return undefined;
    }
  }

  /** Asks Redis now and then whether something was invalidated; those who look meanwhile wait for the same answer. */
  #checkEdition(): Promise<void> | undefined {
    const { shared, clock } = this.#deps;
    if (shared?.isReady !== true || clock.monotonic() - this.#checkedAt < EDITION_CHECK_MS) return undefined;
    this.#checking ??= this.#read([]).then(() => {
      this.#checkedAt = clock.monotonic(); // also when it failed: the next try is as far away
      this.#checking = undefined;
    });
    return this.#checking;
  }

  #empty(): void {
    this.#generation += 1;
    this.#memory.clear();
    this.#flights.clear(); // whoever asks from now on asks anew
  }
}

const noCounts = (): Record<Mapping['kind'], number> => ({ print: 0, unknown: 0, ambiguous: 0 });
