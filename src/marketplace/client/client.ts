import { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import type { PoolState } from '../../platform/metrics.ts';
import { NO_SPAN, NO_TRACER, within, type Span, type TraceContext, type Tracer } from '../../platform/tracing/index.ts';
import { packageVersion } from '../../platform/version.ts';
import type { Bucket } from '../buckets.ts';
import { ENDPOINTS, type Endpoint } from './endpoints.ts';
import type { Notice } from './error-body.ts';
import { InfoSchema, JOB_UUID, JobSchema, readAccepted, type Job, type RemoteApp } from './job.ts';
import { JsonList } from './json-list.ts';
import { read, readEntries, readList, type List, type Read } from './lenient.ts';
import { OrderSchema, queryOf, type OrderQuery, type RemoteOrder } from './order.ts';
import type { Outcome } from './outcome.ts';
import { ProductSchema, readDeleted, readWritten, wireOf, type NewProduct, type ProductChange, type RemoteProduct, type Written } from './product.ts';
import { plain, plainNotices } from './text.ts';
import { isSendable } from './token.ts';
import { createTransport } from './transport.ts';
import { verdict } from './verdict.ts';

/** On whose behalf, with what. */
export interface Caller {
  readonly userId: string;
  readonly token: string;
  /** Ends it at any time; what was sent then has an unknown outcome. */
  readonly signal?: AbortSignal;
  /** Ends it while it waits for its turn; what was sent is waited for. */
  readonly until?: AbortSignal;
  /** Asked before it is handed to the network, and again at the moment it is written to the socket. */
  readonly may?: () => boolean;
  /** Told when a request goes out, and when it is answered or given up. */
  readonly turn?: { sent(): void; answered(): void };
  /** Sent as `x-request-id` of a write, so that it can be found at CardTrader. */
  readonly operationId?: string;
  /** Span the call is part of. It is not sent: whose trace this is, is none of CardTrader's business. */
  readonly trace?: TraceContext;
}

export interface ClientConfig {
  /** Base of the API, `https://api.cardtrader.com/api/v2`. */
  readonly url: string;
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Of an export of everything, which may take minutes. */
  readonly exportTimeoutMs: number;
}

/** What was called and what came of it; `reason` is that of the outcome, empty when applied. */
export interface Observation {
  readonly endpoint: Endpoint;
  readonly outcome: Outcome<unknown>['outcome'];
  readonly reason: string;
  readonly status: number | null;
  readonly durationMs: number;
}

export interface ClientDeps {
  readonly clock: Clock;
  /** Awaited before each request: the rate limiter. Rejects only when the signal is aborted, or when it is broken. */
  readonly gate: (call: { userId: string; bucket: Bucket; signal?: AbortSignal }) => Promise<void>;
  readonly observe?: (observation: Observation) => void;
  /** Of the spans of calls that are part of one; none by default. */
  readonly tracer?: Tracer;
}

/** A product as read: null when CardTrader certainly has it no more. */
export interface ProductRead {
  readonly product: RemoteProduct | null;
}

/** The most items of a bulk call: CardTrader names no limit, 450 is in use since 2021 (cardtrader.md section 6). */
export const MAX_BULK_ITEMS = 450;

/** Takes an answer part by part; `end` says what it came to. */
interface Stream<T> {
  readonly take: (part: Buffer) => Promise<void> | undefined;
  readonly end: () => Read<T>;
}

const MIB = 1_048_576;
/** 100,000 products are some 45 MB. */
const EXPORT_MAX_BYTES = 256 * MIB;
/** Of one that is read as it comes, and so held nowhere. */
const STREAM_MAX_BYTES = 1_024 * MIB;
const ANSWER_MAX_BYTES = 8 * MIB;

export type CardTraderClient = ReturnType<typeof createClient>;

/**
 * CardTrader's API, typed. Every call is sent at most once and answers with an `Outcome`; it throws only for a request that cannot
 * be meant (a BrxError) and for what its hooks throw.
 */
export function createClient(config: ClientConfig, { clock, gate, observe, tracer = NO_TRACER }: ClientDeps) {
  const transport = createTransport(config, clock);
  const userAgent = `brx-sync/${packageVersion()}`;
  const server = new URL(config.url).hostname;

  async function call<T>(endpoint: Endpoint, caller: Caller, parts: { path: string; body?: unknown; timeoutMs?: number; maxBytes?: number; read: (body: unknown) => Read<T>; stream?: Stream<T> }): Promise<Outcome<T>> {
    const { method, bucket, write } = ENDPOINTS[endpoint];
    const { userId, token, signal, until, may, turn, operationId } = caller;
    const span = spanOf(endpoint, caller);
    const begunAt = clock.monotonic();
    const outcome = await within(span, attempt, (result) => ({
      'brx.outcome': result.outcome,
      'brx.reason': result.outcome === 'applied' ? undefined : result.reason,
      'http.response.status_code': result.status ?? undefined,
      // Of its whole time the part in which it waited for its turn.
      'brx.waited_ms': Math.round(clock.monotonic() - begunAt - result.durationMs),
    }));
    observe?.({ endpoint, outcome: outcome.outcome, reason: outcome.outcome === 'applied' ? '' : outcome.reason, status: outcome.status, durationMs: outcome.durationMs });
    return outcome;

    async function attempt(): Promise<Outcome<T>> {
      const nothing = { status: null, requestId: null, serverDate: null, durationMs: 0 };
      if (!isSendable(token)) return { outcome: 'refused', reason: 'token_rejected', ...nothing, message: 'the token has characters no header may have; it was not sent', code: null, fields: [] };
      const givenUp = (): Outcome<T> => ({ outcome: 'throttled', reason: 'aborted', ...nothing, scope: null, retryAfterMs: null, message: 'the caller gave up before it was sent' });
      if (isAborted(signal) || isAborted(until)) return givenUp();
      try {
        const patience = until ?? signal;
        await gate({ userId, bucket, ...(patience !== undefined && { signal: patience }) });
      } catch (error) {
        if (isAborted(signal) || isAborted(until)) return givenUp();
        throw error;
      }
      if (may?.() === false) return givenUp();
      const begun = clock.monotonic();
      const sending = transport.send({
        method,
        path: parts.path,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token}`,
          'user-agent': userAgent,
          ...(parts.body !== undefined && { 'content-type': 'application/json' }),
          ...(write && operationId !== undefined && { 'x-request-id': operationId }),
        },
        ...(parts.body !== undefined && { body: JSON.stringify(parts.body) }),
        timeoutMs: parts.timeoutMs ?? (write ? config.writeTimeoutMs : config.readTimeoutMs),
        maxBytes: parts.maxBytes ?? ANSWER_MAX_BYTES,
        signal,
        may,
        sink: parts.stream?.take,
      });
      turn?.sent();
      const exchange = await sending.finally(() => turn?.answered());
      return verdict(exchange, { bucket, read: parts.read, streamed: parts.stream?.end, token, durationMs: clock.monotonic() - begun, now: clock.now() });
    }
  }

  /** Calls of nobody's operation have none. */
  function spanOf(endpoint: Endpoint, { trace, operationId }: Caller): Span {
    if (trace === undefined) return NO_SPAN;
    return tracer.start({ name: `CardTrader ${endpoint}`, kind: 'client', parent: trace, attributes: { 'http.request.method': ENDPOINTS[endpoint].method, 'server.address': server, 'brx.endpoint': endpoint, 'brx.operation_id': operationId } });
  }

  /** Products of the seller; unfiltered this may take minutes. `unread` entries are part of the stock and must not be taken for absent. */
  async function exportProducts(caller: Caller, filter: { blueprintId?: number; expansionId?: number } = {}): Promise<Outcome<List<RemoteProduct>>> {
    const filtered = filter.blueprintId !== undefined || filter.expansionId !== undefined;
    return call(filtered ? 'export_filtered' : 'export', caller, {
      path: `/products/export${query({ blueprint_id: filter.blueprintId, expansion_id: filter.expansionId })}`,
      maxBytes: EXPORT_MAX_BYTES,
      ...(!filtered && { timeoutMs: config.exportTimeoutMs }),
      read: (body) => readList(ProductSchema, body, 'products'),
    });
  }

  /**
   * The whole stock, read as it comes: what each part of the answer has completed is handed to `visit`, and CardTrader waits while that is at work. However
   * large the stock is, only a part of it is in memory. What was visited counts for nothing unless the outcome is `applied`.
   */
  async function streamProducts(caller: Caller, visit: (products: List<RemoteProduct>) => Promise<void> | undefined): Promise<Outcome<{ readonly products: number }>> {
    const list = new JsonList(['array', 'products']);
    let failure: { readonly error: unknown } | undefined;
    let count = 0;
    const take = (part: Buffer): Promise<void> | undefined => {
      const entries = list.push(part);
      if (entries.length === 0) return undefined;
      const first = count;
      count += entries.length;
      try {
        return visit(readEntries(ProductSchema, entries, first))?.catch((error: unknown) => {
          failure ??= { error };
          throw error;
        });
      } catch (error) {
        failure ??= { error };
        throw error;
      }
    };
    const end = (): Read<{ products: number }> => {
      const problem = list.end();
      return problem === undefined ? { ok: true, value: { products: count } } : { ok: false, problem };
    };
    const outcome = await call('export', caller, { path: '/products/export', maxBytes: STREAM_MAX_BYTES, timeoutMs: config.exportTimeoutMs, read: () => end(), stream: { take, end } });
    if (failure !== undefined) throw failure.error;
    return outcome;
  }

  const written = ({ token }: Caller, productId?: number) => (body: unknown): Read<Written> => {
    const answer = readWritten(body, productId);
    return answer.ok ? { ok: true, value: { ...answer.value, warnings: plainNotices(answer.value.warnings, token) } } : answer;
  };
  const bulk = (endpoint: 'bulk_create' | 'bulk_update' | 'bulk_destroy', caller: Caller, products: readonly Record<string, unknown>[]): Promise<Outcome<{ job: string }>> => {
    if (products.length === 0 || products.length > MAX_BULK_ITEMS) throw new BrxError('BRX_INTERNAL', `${endpoint} of ${products.length} items: 1 to ${MAX_BULK_ITEMS} go into one call`);
    return call(endpoint, caller, { path: `/products/${endpoint}`, body: { products }, read: readAccepted });
  };

  return {
    /** The seller's app: whether the token is good. Its body holds a secret. */
    info: (caller: Caller): Promise<Outcome<RemoteApp>> => call('info', caller, { path: '/info', read: (body) => read(InfoSchema, body) }),

    exportProducts,
    streamProducts,

    /**
     * One product, through the filtered export: `GET /products/:id` is not documented. Where an entry that could not be read may be
     * the one, or two claim its id, the answer is `unknown`, never "it is gone".
     */
    async readProduct(caller: Caller, productId: number, blueprintId: number): Promise<Outcome<ProductRead>> {
      const outcome = await exportProducts(caller, { blueprintId });
      if (outcome.outcome !== 'applied') return outcome;
      const { body, ...facts } = outcome;
      const found = body.items.filter((product) => product.id === productId);
      const doubtful = body.unread.find((entry) => entry.id === productId || (entry.id === null && found.length === 0));
      const { status, requestId, serverDate, durationMs } = facts;
      const unreadable = (message: string): Outcome<ProductRead> => ({ outcome: 'unknown', reason: 'unreadable', status, requestId, serverDate, durationMs, message });
      if (doubtful !== undefined) return unreadable(`entry ${doubtful.index} of the export could not be read: ${doubtful.problem}`);
      if (found.length > 1) return unreadable(`product ${productId} is in the export ${found.length} times`);
      return { ...facts, body: { product: found[0] ?? null } };
    },

    updateProduct: (caller: Caller, productId: number, change: ProductChange): Promise<Outcome<Written>> =>
      call('product_update', caller, { path: `/products/${checkedId(productId)}`, body: wireOf(checked(change)), read: written(caller, productId) }),

    /** Not idempotent: CardTrader adds the quantity to an equal product it finds. */
    createProduct: (caller: Caller, product: NewProduct): Promise<Outcome<Written>> => call('product_create', caller, { path: '/products', body: wireOf(checked(product)), read: written(caller) }),

    /** Whatever the quantity. */
    deleteProduct: (caller: Caller, productId: number): Promise<Outcome<{ warnings: readonly Notice[] }>> =>
      call('product_delete', caller, { path: `/products/${checkedId(productId)}`, read: (body) => readDeleted(body, productId) }),

    bulkCreate: (caller: Caller, products: readonly NewProduct[]) => bulk('bulk_create', caller, products.map((product) => wireOf(checked(product)))),
    bulkUpdate: (caller: Caller, changes: readonly (ProductChange & { readonly id: number })[]) =>
      bulk('bulk_update', caller, changes.map((change) => wireOf({ ...checked(change), id: checkedId(change.id) }))),
    bulkDestroy: (caller: Caller, productIds: readonly number[]) => bulk('bulk_destroy', caller, productIds.map((productId) => ({ id: checkedId(productId) }))),

    /** One call a second. */
    job(caller: Caller, uuid: string): Promise<Outcome<Job>> {
      if (!JOB_UUID.test(uuid)) throw new BrxError('BRX_INTERNAL', 'not the id of a job');
      const results = ({ results: given, ...job }: Job): Job => ({ ...job, results: given.map((result) => ({ ...result, result: plain(result.result, caller.token, 20), errors: plainNotices(result.errors, caller.token), warnings: plainNotices(result.warnings, caller.token) })) });
      return call('job', caller, {
        path: `/jobs/${uuid}`,
        read: (body) => {
          const answer = read(JobSchema, body);
          return answer.ok ? { ok: true, value: results(answer.value) } : answer;
        },
      });
    },

    /** The seller's sales, a page of at most 100, newest first unless sorted otherwise. There is no total. */
    orders: (caller: Caller, filter: OrderQuery = {}): Promise<Outcome<List<RemoteOrder>>> =>
      call('orders', caller, { path: `/orders${query(queryOf(filter))}`, read: (body) => readList(OrderSchema, body, 'orders') }),

    order: (caller: Caller, orderId: number): Promise<Outcome<RemoteOrder>> => call('order', caller, { path: `/orders/${checkedId(orderId)}`, read: (body) => read(OrderSchema, body) }),

    /** Connections, for a gauge. */
    state: (): PoolState => transport.state(),
    close: (): Promise<void> => transport.close(),
  };
}

function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as [string, string]]));
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted ?? false;

function checkedId(value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0) throw new BrxError('BRX_INTERNAL', `${value} is no id`);
  return value;
}

/** Quantities and prices are whole and not negative: a slip here would sell cards that are not there. */
function checked<T extends ProductChange>(change: T): T {
  const { quantity, priceCents } = change;
  if (quantity !== undefined && (!Number.isSafeInteger(quantity) || quantity < 0)) throw new BrxError('BRX_INTERNAL', `${quantity} is no quantity`);
  if (priceCents !== undefined && (!Number.isSafeInteger(priceCents) || priceCents < 0)) throw new BrxError('BRX_INTERNAL', `${priceCents} is no price in cents`);
  return change;
}
