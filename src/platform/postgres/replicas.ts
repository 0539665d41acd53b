import type { PostgresConfig, ReplicasConfig } from '../../config.ts';
import { retryMs } from '../backoff.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { Rotation } from '../rotation.ts';
import { Together } from '../together.ts';
import { messageOf } from '../../errors.ts';
import { recognise, type FailureKind } from './errors.ts';
import { createPostgres, type Postgres } from './postgres.ts';
import { poolStats, type PoolStats } from './pool.ts';
import { readIdentity, readPosition, type Identity } from './position.sql.ts';
import { positionNumber, Replica } from './replica.ts';
import { refuseUrlSettings } from './url.ts';

/** What a read is given; it may run twice, and writes nothing. */
export type Reader = Pick<Postgres, 'pool' | 'prisma'>;

export interface ReadOptions {
  /** How old the answer may be at most; 0: nothing that was committed before the call is missing. BRX_DATABASE_REPLICA_MAX_LAG_MS. */
  readonly maxLagMs?: number;
  /** A position (see `position`): the answer has everything up to there. */
  readonly after?: string | undefined;
}

/** Why the primary was asked though there are replicas: none is near enough, none answers, the one that was asked failed. */
export const FALLBACK_REASONS = ['lag', 'away', 'failed'] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

export interface ReadersOptions {
  readonly primary: Postgres;
  readonly logger: Logger;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly clock?: Clock;
  /** `primary`, or `replica-1`. */
  readonly onRead?: (server: string) => void;
  readonly onFallback?: (reason: FallbackReason) => void;
  readonly onPoolWait?: (pool: string, ms: number) => void;
}

export interface Readers {
  /** Reads from a replica that is near enough, or from the primary. */
  readFrom<Result>(use: (reader: Reader) => Promise<Result>, options?: ReadOptions): Promise<Result>;
  /** For reading one's own writes: asked after a commit it is a position that has it. */
  position(): Promise<string>;
  /** How far each replica is behind, seconds; NaN: not known. */
  lags(): Promise<ReadonlyMap<string, number>>;
  readonly pools: readonly { readonly name: string; stats(): PoolStats }[];
  /** Closes the replicas; the primary is whoever's who gave it. */
  close(): Promise<void>;
}

interface Sample {
  /** Monotonic, before it was asked for. */
  readonly at: number;
  readonly position: bigint;
}

/** A dead host is not waited for, and what a replica takes so long for the primary does better. */
const CONNECT_MS = 1_000;
const STATEMENT_MS = 2_000;
const POLL_MS = 10;
/** A replica that was waited for in vain is not waited for again so soon. */
const NO_PATIENCE_MS = 1_000;
/** So many looks at the primary within the greatest lag that is allowed. */
const SAMPLES = 4;
/** Of a failed read on a replica: these say that the server is not what it should be. The others say that this one read did not get through. */
const OUT: readonly FailureKind[] = ['unavailable', 'schema'];
const NOT_THROUGH: readonly FailureKind[] = ['conflict', 'timeout'];

/**
 * Reads go to the replicas in turn. How far one may be behind is measured in positions of the log on one clock, ours: a replica that has replayed what the
 * primary had written a second ago is at most a second behind. (The age of what it replayed last says nothing: on a quiet primary it is
 * old although nothing lags.) One that is not so far is waited for a moment, once; then the primary answers. One that fails is left alone, longer each time.
 */
export function createReaders({ urls, poolMax, maxLagMs: usualLagMs, waitMs }: ReplicasConfig, config: PostgresConfig, options: ReadersOptions): Readers {
  const { primary, logger, applicationName, clock = systemClock, onRead = () => undefined, onFallback = () => undefined, onPoolWait = () => undefined } = options;
  const replicas = urls.map((url, index) => {
    refuseUrlSettings(url, 'BRX_DATABASE_REPLICA_URLS');
    const name = `replica-${index + 1}`;
    const least = (ms: number, most: number): number => Math.min(ms, most);
    const reader = createPostgres(
      { ...config, url, poolMax, acquireTimeoutMs: least(config.acquireTimeoutMs, CONNECT_MS), statementTimeoutMs: least(config.statementTimeoutMs, STATEMENT_MS) },
      { logger, clock, applicationName, keyLookupsOnly: false, onPoolWait: (ms) => onPoolWait(name, ms) },
    );
    return new Replica(name, reader, clock);
  });
  const rotation = new Rotation(replicas, {
    clock,
    restMs: (failures) => retryMs(failures, clock),
    onOut: ({ name }, error, restMs) => logger.warn({ replica: name, problem: messageOf(error), retryMs: Math.round(restMs) }, 'PostgreSQL replica failed; reads go to the other servers'),
    onBack: ({ name }) => logger.info({ replica: name }, 'PostgreSQL replica is back in rotation'),
  });
  let identity: Promise<Identity> | undefined;
  let samples: readonly Sample[] = [];
  let noPatienceUntil = Number.NEGATIVE_INFINITY;

  const primaryIs = (): Promise<Identity> => {
    identity ??= readIdentity(primary.prisma).catch((error: unknown) => {
      identity = undefined; // asked again by the next one
      throw error;
    });
    return identity;
  };
  const sampling = new Together<undefined, Sample>(async (asked) => {
    const at = clock.monotonic();
    const sample = { at, position: positionNumber(await readPosition(primary.prisma)) };
    samples = [...samples.filter((one) => one.at >= at - usualLagMs), sample];
    return asked.map(() => sample);
  });

  /** What a replica must have replayed to be at most `maxLagMs` behind: the oldest of the looks that are not older asks least of it. */
  async function needed(maxLagMs: number): Promise<bigint> {
    const now = clock.monotonic();
    const newest = samples.at(-1);
    const fits = samples.find(({ at }) => at >= now - maxLagMs);
    if (fits === undefined || maxLagMs === 0) return (await sampling.do(undefined)).position;
    if (newest !== undefined && newest.at < now - usualLagMs / SAMPLES) sampling.do(undefined).catch(() => undefined); // for those who come after; they hear of it
    return fits.position;
  }

  const failed = (replica: Replica, error: unknown): void => {
    replica.forget();
    rotation.failed(replica, error);
  };
  /** True: it is there. False: it does not answer, or is none of ours, and rests. */
  async function look(replica: Replica, of: Identity): Promise<boolean> {
    try {
      await replica.look(of);
      rotation.answered(replica);
      return true;
    } catch (error) {
      failed(replica, error);
      return false;
    }
  }

  /** A replica that has the log up to there, or why there is none. */
  async function choose(position: bigint): Promise<Replica | FallbackReason> {
    const begun = clock.monotonic();
    const of = await primaryIs();
    const behind: Replica[] = [];
    for (const replica of rotation.turn()) {
      if (replica.isKnownToHave(position)) return replica;
      if (!(await look(replica, of))) continue;
      if (replica.isKnownToHave(position)) return replica;
      behind.push(replica);
    }
    const nearest = behind.toSorted((a, b) => (a.replayed > b.replayed ? -1 : 1))[0];
    if (nearest === undefined) return 'away';
    while (begun >= noPatienceUntil && clock.monotonic() < begun + waitMs) {
      await clock.sleep(POLL_MS);
      if (!(await look(nearest, of))) return 'lag';
      if (nearest.isKnownToHave(position)) return nearest;
    }
    if (begun >= noPatienceUntil) noPatienceUntil = clock.monotonic() + NO_PATIENCE_MS;
    return 'lag';
  }

  async function readFrom<Result>(use: (reader: Reader) => Promise<Result>, { maxLagMs = usualLagMs, after }: ReadOptions = {}): Promise<Result> {
    const fromPrimary = (): Promise<Result> => {
      onRead('primary');
      return use(primary);
    };
    if (replicas.length === 0) return fromPrimary();
    const own = after === undefined ? -1n : positionNumber(after);
    const recent = await needed(maxLagMs);
    if (own > recent && own > (samples.at(-1)?.position ?? -1n) && own > (await sampling.do(undefined)).position) return fromPrimary(); // of another log than this: no replica will ever have it
    const chosen = await choose(own > recent ? own : recent);
    if (typeof chosen === 'string') {
      onFallback(chosen);
      return fromPrimary();
    }
    try {
      const result = await use(chosen.reader);
      onRead(chosen.name);
      return result;
    } catch (error) {
      const kind = recognise(error)?.kind;
      if (kind !== undefined && OUT.includes(kind)) failed(chosen, error);
      else if (kind === undefined || !NOT_THROUGH.includes(kind)) throw error; // the primary would say the same
      onFallback('failed');
      return fromPrimary();
    }
  }

  let closing: Promise<void> | undefined;
  return {
    readFrom,
    position: () => readPosition(primary.prisma),
    async lags() {
      const lags = new Map(replicas.map(({ name }) => [name, Number.NaN]));
      if (replicas.length === 0) return lags;
      const [of, { position }] = [await primaryIs(), await sampling.do(undefined)];
      const looks = replicas.filter((replica) => !rotation.rests(replica)).map(async (replica) => {
        if (await look(replica, of)) lags.set(replica.name, replica.lagSeconds(position));
      });
      await Promise.all(looks);
      return lags;
    },
    pools: replicas.map(({ name, reader }) => ({ name, stats: () => poolStats(reader.pool) })),
    close() {
      closing ??= Promise.all(replicas.map(({ reader }) => reader.close())).then(() => undefined);
      return closing;
    },
  };
}
