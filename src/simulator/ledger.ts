/** What a write did, in the order in which it happened. */
export interface Effect {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly sellerId: number;
  readonly productId: number;
  readonly verb: Verb;
  readonly source: Source;
  /** Quantities; null: there was, or is, no such product. */
  readonly before: number | null;
  readonly after: number | null;
  /** From the header `x-request-id`. */
  readonly operationId: string | null;
  /** From the `user_data_field` that was sent: ` brx:<uuid>` at its end. */
  readonly marker: string | null;
  readonly jobId: string | null;
  readonly orderId: number | null;
  /** Was an answer written whole? Null where nobody waits for one: jobs, sales, hands on the site. */
  answered: boolean | null;
}

export type Verb = 'create' | 'update' | 'increment' | 'delete' | 'merge' | 'sale' | 'relist' | 'set' | 'vanish';
/** Who did it: a request, a job, a buyer, the seller on the site (control), a fault. */
export type Source = 'api' | 'job' | 'order' | 'control' | 'fault';

export interface EffectFilter {
  readonly operationId?: string | undefined;
  readonly sellerId?: number | undefined;
  readonly productId?: number | undefined;
  readonly verb?: Verb | undefined;
}

/** The oldest half goes when so many are kept; `forgotten` says how many went. */
const MOST = 1_000_000;

/**
 * Every application of every write. A request that is applied twice is two effects even if the second changed nothing: that is
 * what "at most once" must be held against.
 */
export class Ledger {
  #effects: Effect[] = [];
  readonly #byOperation = new Map<string, Effect[]>();
  readonly #repeated = new Set<string>();
  #sequence = 0;
  #forgotten = 0;

  add(effect: Omit<Effect, 'sequence'>): Effect {
    const added: Effect = { sequence: (this.#sequence += 1), ...effect };
    this.#effects.push(added);
    for (const id of operationsOf(added)) {
      const known = this.#byOperation.get(id);
      if (known === undefined) {
        this.#byOperation.set(id, [added]);
      } else {
        known.push(added);
        this.#repeated.add(id);
      }
    }
    if (this.#effects.length > MOST) this.#forget();
    return added;
  }

  /** How often an operation took effect. */
  count(operationId: string): number {
    return this.#byOperation.get(operationId.toLowerCase())?.length ?? 0;
  }

  list(filter: EffectFilter = {}): Effect[] {
    const { operationId, sellerId, productId, verb } = filter;
    const from = operationId === undefined ? this.#effects : (this.#byOperation.get(operationId.toLowerCase()) ?? []);
    return from.filter((effect) => (sellerId === undefined || effect.sellerId === sellerId) && (productId === undefined || effect.productId === productId) && (verb === undefined || effect.verb === verb));
  }

  /** Operations that took effect more than once: none, if the client keeps its promise. */
  repeated(): { operationId: string; times: number }[] {
    return [...this.#repeated].map((operationId) => ({ operationId, times: this.count(operationId) }));
  }

  get size(): number {
    return this.#sequence;
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  #forget(): void {
    const going = this.#effects.splice(0, MOST / 2);
    this.#forgotten += going.length;
    for (const id of going.flatMap(operationsOf)) {
      this.#byOperation.delete(id);
      this.#repeated.delete(id);
    }
  }
}

/** A bulk call is one request with many operations: there the markers of its items name them, not its header. */
function operationsOf({ operationId, marker, source }: Effect): string[] {
  const named = source === 'job' ? null : operationId;
  return named === marker ? (marker === null ? [] : [marker]) : [named, marker].filter((id) => id !== null);
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const MARKER = new RegExp(` brx:(${UUID})$`, 'i');
const WHOLE = new RegExp(`^${UUID}$`, 'i');

/** The operation a `user_data_field` names, lower case; null if it names none. */
export function markerOf(userData: unknown): string | null {
  return typeof userData === 'string' ? (MARKER.exec(userData)?.[1]?.toLowerCase() ?? null) : null;
}

/** The operation a request names in its `x-request-id`; anything but a UUID is somebody else's header. */
export function operationOf(header: string | string[] | undefined): string | null {
  return typeof header === 'string' && WHOLE.test(header) ? header.toLowerCase() : null;
}
