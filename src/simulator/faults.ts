import { BrxError } from '../errors.ts';
import type { Random } from '../platform/random.ts';

/** What can go wrong, and with which requests: every kind is counted, so that a run can show that it met them all. */
export const FAULTS = {
  response_lost: { on: 'write', meaning: 'the write is applied, then the connection is cut without an answer' },
  applied_late: { on: 'write', meaning: 'no answer (cut at once, or silence with `answer: "hang"`), and the write is applied `delayMs` later' },
  error_after_apply: { on: 'write', meaning: 'the write is applied, the answer is `status` (500)' },
  error_before_apply: { on: 'any', meaning: 'nothing is applied, the answer is `status` (503)' },
  reset_before_apply: { on: 'any', meaning: 'nothing is applied, the connection is reset' },
  reset_mid_body: { on: 'any', meaning: 'applied; the connection is reset half-way through the body' },
  html_error: { on: 'any', meaning: 'nothing is applied, the answer is an HTML page with `status` (502)' },
  edge_403: { on: 'any', meaning: 'nothing is applied, a 403 of the edge that is no JSON and no verdict on the token' },
  throttled: { on: 'any', meaning: 'a 429 though the limit was kept, with Retry-After if `retryAfterSeconds` is given' },
  stale_export: { on: 'export', meaning: 'the export says what was true `delayMs` (5,000) ago' },
  truncated_export: { on: 'export', meaning: 'the export is valid JSON but ends after `keep` (0.5) of its rows; 0 is an empty one' },
  slow_answer: { on: 'any', meaning: 'applied at once, answered `delayMs` (2,000) later' },
  slow_loris: { on: 'any', meaning: 'applied at once, the body dribbles over `delayMs` (2,000)' },
  token_revoked: { on: 'any', meaning: 'the seller’s token stops working, with this request: 401' },
  token_regenerated: { on: 'any', meaning: 'the seller makes a new token, the one just used stops working: 401' },
  sale_after_read: { on: 'export', meaning: 'right after the export was read a buyer takes `quantity` (1) of a product in it' },
  product_vanishes: { on: 'product', meaning: 'the product is gone when the write arrives: the seller removed it on the site' },
} as const;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];
/** Kinds after which a seller cannot go on by itself: a plan for all kinds leaves them out. */
const LASTING: readonly FaultKind[] = ['token_revoked', 'token_regenerated'];

/** The five bodies an error of CardTrader may have. */
export const ERROR_SHAPES = ['envelope', 'error', 'errors_text', 'errors_object', 'html'] as const;
export type ErrorShape = (typeof ERROR_SHAPES)[number];

export interface FaultDetails {
  /** Milliseconds; `FAULTS` says of what. */
  readonly delayMs?: number | undefined;
  readonly status?: number | undefined;
  readonly shape?: ErrorShape | undefined;
  readonly answer?: 'cut' | 'hang' | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly keep?: number | undefined;
  readonly quantity?: number | undefined;
}
/** Which requests an injected fault waits for; what is left out fits every request. */
export interface FaultMatch {
  readonly sellerId?: number | undefined;
  /** A request for this product, or an export that covers it. */
  readonly productId?: number | undefined;
  readonly operationId?: string | undefined;
  readonly method?: string | undefined;
  /** Beginning of the path below /api/v2: `/products/export`. */
  readonly path?: string | undefined;
  /** The n-th that fits, counted from the injection; 1: the next. */
  readonly nth?: number | undefined;
}
export interface Fault extends FaultDetails {
  readonly kind: FaultKind;
  readonly when?: FaultMatch | undefined;
}
export interface Injection extends Fault {
  /** How often it fires, on consecutive requests that fit; 1. */
  readonly times?: number | undefined;
}
export interface Injected {
  readonly fired: number;
  readonly spent: boolean;
  /** Takes it back. */
  cancel(): void;
}

/** Chance of each kind on each request it can happen to, 0 to 1, with its details if the defaults do not do. */
export type FaultPlan = Readonly<Partial<Record<FaultKind, number | (FaultDetails & { readonly chance: number })>>>;

/** A request as faults see it. */
export interface FaultTarget {
  readonly sellerId: number;
  readonly method: string;
  readonly path: string;
  readonly operationId: string | null;
  readonly isWrite: boolean;
  readonly isExport: boolean;
  readonly productId: number | undefined;
  /** Whether it is about this product: names it, or exports it. */
  covers(productId: number): boolean;
}

/**
 * Chooses what goes wrong with a request: an injected fault that waits for it, oldest first, else one of the plan by chance.
 * At most one a request. Only requests that passed the token and the limit are looked at, so that "the next PUT" is one that
 * would have been served.
 */
export class Faults {
  readonly #random: Random;
  #plan: FaultPlan = {};
  #waiting: { injection: Injection; seen: number; fired: number }[] = [];
  readonly #fired = new Map<FaultKind, number>(FAULT_KINDS.map((kind) => [kind, 0]));

  constructor(random: Random, plan: FaultPlan = {}) {
    this.#random = random;
    this.setPlan(plan);
  }

  get plan(): FaultPlan {
    return this.#plan;
  }

  setPlan(plan: FaultPlan): void {
    for (const kind of Object.keys(plan)) if (!isFaultKind(kind)) throw unknownKind(kind);
    this.#plan = plan;
  }

  inject(injection: Injection): Injected {
    if (!isFaultKind(injection.kind)) throw unknownKind(injection.kind);
    const waiting = { injection, seen: 0, fired: 0 };
    this.#waiting.push(waiting);
    const stands = (): boolean => this.#waiting.includes(waiting);
    return {
      get fired() {
        return waiting.fired;
      },
      get spent() {
        return !stands();
      },
      cancel: () => void (this.#waiting = this.#waiting.filter((other) => other !== waiting)),
    };
  }

  /** No plan, nothing injected; the counts stay. */
  clear(): void {
    this.#plan = {};
    this.#waiting = [];
  }

  /** How often each kind fired. */
  get fired(): Readonly<Record<FaultKind, number>> {
    return Object.fromEntries(this.#fired) as Record<FaultKind, number>;
  }

  /** Injections that still wait for their request. */
  get waiting(): readonly Injection[] {
    return this.#waiting.map(({ injection }) => injection);
  }

  choose(target: FaultTarget): Fault | undefined {
    const chosen = this.#injected(target) ?? this.#planned(target);
    if (chosen !== undefined) this.#fired.set(chosen.kind, (this.#fired.get(chosen.kind) ?? 0) + 1);
    return chosen;
  }

  #injected(target: FaultTarget): Fault | undefined {
    let chosen: Fault | undefined;
    // Every injection that fits counts the request, also those that are not up: "the third write" means the third write.
    for (const waiting of this.#waiting) {
      const { injection } = waiting;
      if (!canHappen(injection.kind, target) || !fits(injection.when ?? {}, target)) continue;
      waiting.seen += 1;
      if (chosen === undefined && waiting.seen >= (injection.when?.nth ?? 1)) {
        waiting.fired += 1;
        chosen = injection;
      }
    }
    if (chosen !== undefined) this.#waiting = this.#waiting.filter(({ injection, fired }) => fired < (injection.times ?? 1));
    return chosen;
  }

  #planned(target: FaultTarget): Fault | undefined {
    for (const kind of FAULT_KINDS) {
      const planned = this.#plan[kind];
      if (planned === undefined || !canHappen(kind, target)) continue;
      const { chance, ...details } = typeof planned === 'number' ? { chance: planned } : planned;
      if (this.#random.chance(chance)) return { kind, ...details };
    }
    return undefined;
  }
}

export function isFaultKind(kind: string): kind is FaultKind {
  return Object.hasOwn(FAULTS, kind);
}

/** The same chance for every kind after which a seller can go on. */
export function planForAll(chance: number): FaultPlan {
  return Object.fromEntries(FAULT_KINDS.filter((kind) => !LASTING.includes(kind)).map((kind) => [kind, chance]));
}

function canHappen(kind: FaultKind, target: FaultTarget): boolean {
  switch (FAULTS[kind].on) {
    case 'any':
      return true;
    case 'write':
      return target.isWrite;
    case 'export':
      return target.isExport;
    case 'product':
      return target.isWrite && target.productId !== undefined;
  }
}

function fits({ sellerId, productId, operationId, method, path }: FaultMatch, target: FaultTarget): boolean {
  return (
    (sellerId === undefined || sellerId === target.sellerId) &&
    (productId === undefined || target.covers(productId)) &&
    (operationId === undefined || operationId.toLowerCase() === target.operationId) &&
    (method === undefined || method.toUpperCase() === target.method) &&
    (path === undefined || target.path.startsWith(path))
  );
}

const unknownKind = (kind: string): BrxError => new BrxError('BRX_USAGE', `there is no fault ${kind}`, { remedy: `faults are ${FAULT_KINDS.join(', ')}` });
