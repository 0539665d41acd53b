import type { Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { DatabaseFailure } from './errors.ts';
import type { Postgres } from './postgres.ts';
import { readIdentity, readReplay, type Identity } from './position.sql.ts';

/** `16/B374D848` as a number. Throws RangeError for what is no position. */
export function positionNumber(text: string): bigint {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? [];
  if (high === undefined || low === undefined) throw new RangeError(`${text} is no position in PostgreSQL’s log`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** Longer than any look takes at a server that works. */
const LOOK_MS = 1_000;
/** A standby may be promoted: how long what was seen of it is believed. */
const BELIEVED_MS = 1_000;

/** One standby: what is known of it, and how far it is. */
export class Replica {
  readonly name: string;
  readonly reader: Postgres;
  readonly #clock: Clock;
  #isProven = false;
  #replayed = -1n;
  #seconds: number | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, reader: Postgres, clock: Clock) {
    this.name = name;
    this.reader = reader;
    this.#clock = clock;
  }

  /** Whether it has replayed the log up to there, by what was seen of it: replay never goes back. */
  isKnownToHave(position: bigint): boolean {
    return this.#isProven && this.#replayed >= position && this.#clock.monotonic() - this.#lookedAt < BELIEVED_MS;
  }

  /** As far as was seen. */
  get replayed(): bigint {
    return this.#replayed;
  }

  /**
   * How far it is behind a primary whose log goes to `position`. Where it has all of it nothing lags, however long ago the last transaction was;
   * else the age of the last one it has replayed says by how much, as exactly as the clocks of both servers agree.
   */
  lagSeconds(position: bigint): number {
    return this.#replayed >= position ? 0 : (this.#seconds ?? Number.NaN);
  }

  /** Asks it how far it is. Throws DatabaseFailure `unavailable` where it does not answer, `schema` where it is no standby of `primary`. */
  look(primary: Identity): Promise<void> {
    const late = (): never => {
      throw new DatabaseFailure({ kind: 'unavailable', state: undefined, message: `it does not answer within ${LOOK_MS} ms`, cause: undefined });
    };
    return withDeadline(this.#look(primary), { ms: LOOK_MS, clock: this.#clock, late });
  }

  async #look(primary: Identity): Promise<void> {
    if (!this.#isProven) {
      const { system, database } = await readIdentity(this.reader.prisma);
      if (system !== primary.system || database !== primary.database) throw notOurs('it is another database than the primary, not a copy of it');
    }
    const { standby, replayed, seconds } = await readReplay(this.reader.prisma);
    if (!standby || replayed === null) throw notOurs('it is no standby: it was promoted, or never was one');
    this.#isProven = true;
    this.#replayed = positionNumber(replayed);
    this.#seconds = seconds;
    this.#lookedAt = this.#clock.monotonic();
  }

  /** It failed: when it is back it may be another server, or have been made anew. */
  forget(): void {
    this.#isProven = false;
    this.#replayed = -1n;
  }
}

const notOurs = (message: string): DatabaseFailure => new DatabaseFailure({ kind: 'schema', state: undefined, message, cause: undefined });
