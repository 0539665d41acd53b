import { Pool } from 'undici';
import { BrxError, messageOf } from '../../errors.ts';
import { faultPoint, isArmed } from '../../platform/fault-points.ts';
import { ENDED, onAbort } from '../../platform/abort.ts';
import type { Clock } from '../../platform/clock.ts';
import type { PoolState } from '../../platform/metrics.ts';
import { createSlots } from './slots.ts';

/**
 * One request, sent at most once: no retry, no redirect, no second request behind it on the same connection. What is certain about it
 * is what undici tells us at the moment it writes to the socket (`onRequestStart`): before that, nothing was sent, whatever went wrong.
 */
export interface Transport {
  /** Never rejects for what the network or the server does. */
  send(request: HttpRequest): Promise<Exchange>;
  state(): PoolState;
  /** Lets requests in flight end. */
  close(): Promise<void>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the base URL, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the first byte sent to the last received, connecting included. */
  readonly timeoutMs: number;
  /** Most bytes of a good answer; a bad one is read up to 64 KiB. */
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
  /** Asked at the moment it is written to the socket; false: it is not sent. */
  readonly may: (() => boolean) | undefined;
  /**
   * Takes a good answer's body part by part, instead of its being held until it is whole; the answer's body is then empty. While a promise of its is
   * open the connection is not read from. What it throws ends the exchange.
   */
  readonly sink?: ((part: Buffer) => Promise<void> | undefined) | undefined;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Why an exchange ended before its time. */
export type Break = 'timeout' | 'aborted' | 'too_large' | 'connection' | 'busy';

export type Exchange =
  /** The whole answer. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Headers; readonly body: Uint8Array }
  /** Its head, and less than all of its body. */
  | { readonly kind: 'partial'; readonly status: number; readonly headers: Headers; readonly body: Uint8Array; readonly cause: Break; readonly detail: string }
  /** No answer. */
  | { readonly kind: 'none'; readonly sent: boolean; readonly cause: Break; readonly detail: string };

export interface TransportConfig {
  readonly url: string;
  readonly connections: number;
  readonly connectTimeoutMs: number;
}

const MAX_ERROR_BYTES = 65_536;
/**
 * Longest wait for a connection. A request goes out when the rate limiter said it may; were it held back for long, it would reach CardTrader
 * together with those that were allowed later.
 */
const MAX_SLOT_WAIT_MS = 50;

export function createTransport(config: TransportConfig, clock: Clock): Transport {
  const base = new URL(config.url);
  const prefix = base.pathname.replace(/\/+$/, '');
  // Timeouts of undici are off: they are per phase, ours is one deadline over all of them.
  const pool = new Pool(base.origin, { connections: config.connections, pipelining: 1, connect: { timeout: config.connectTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 });
  const slots = createSlots(config.connections, clock);
  let closed = false;

  return {
    async send(request) {
      if (closed) return { kind: 'none', sent: false, cause: 'aborted', detail: 'the client is closed' };
      if (!(await slots.take(MAX_SLOT_WAIT_MS))) return { kind: 'none', sent: false, cause: 'busy', detail: `no connection was free within ${MAX_SLOT_WAIT_MS} ms` };
      return exchange(pool, prefix, request, clock, () => slots.give());
    },
    state: () => ({ used: slots.used, idle: Math.max(0, pool.stats.connected - slots.used), max: config.connections, waiting: slots.waiting }),
    async close() {
      closed = true;
      await pool.close();
    },
  };
}

function exchange(pool: Pool, prefix: string, request: HttpRequest, clock: Clock, release: () => void): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const { signal, timeoutMs, may } = request;
    const deadline = clock.monotonic() + timeoutMs;
    const ended = new AbortController();
    const chunks: Buffer[] = [];
    let bytes = 0;
    let head: { status: number; headers: Headers; maxBytes: number } | undefined;
    let sent = false;
    let settled = false;
    let abort: ((reason: Error) => void) | undefined;
    let taking: Promise<void> | undefined;

    const settle = (result: Exchange): void => {
      if (settled) return;
      settled = true;
      ended.abort(ENDED);
      forget?.();
      resolve(result);
    };
    /** Ends it here, now. undici may still be connecting: then the connection is let go as soon as it is there, before anything is sent. */
    const breakOff = (cause: Break, detail: string): void => {
      settle(head === undefined ? { kind: 'none', sent, cause, detail } : { kind: 'partial', status: head.status, headers: head.headers, body: Buffer.concat(chunks), cause, detail });
      abort?.(new Error(detail));
    };
    const giveUp = (): void => breakOff('aborted', 'the caller gave up');
    if (signal?.aborted === true) {
      release();
      return giveUp();
    }
    const forget = signal === undefined ? undefined : onAbort(signal, giveUp);
    clock.sleep(timeoutMs, ended.signal).then(
      () => breakOff('timeout', `no complete answer within ${timeoutMs} ms`),
      () => undefined, // it ended in time
    );

    pool.dispatch(
      { method: request.method, path: prefix + request.path, headers: request.headers, body: request.body ?? null },
      {
        onRequestStart(controller) {
          abort = (reason) => controller.abort(reason);
          if (settled) return abort(new Error('too late'));
          if (sent) return breakOff('connection', 'would have been sent twice');
          // The last moment to ask. A process that was frozen while it connected wakes to a connection that is there, and comes here before
          // the timer of its deadline: what it was allowed to send then, somebody else has sent since, and more after it.
          if (clock.monotonic() >= deadline) return breakOff('timeout', `not sent within ${timeoutMs} ms`);
          if (may?.() === false) return breakOff('aborted', 'the caller may not send it any more');
          sent = true;
          if (request.method !== 'GET' && isArmed('dispatcher.after-send')) setImmediate(() => faultPoint('dispatcher.after-send'));
        },
        onResponseStart(_controller, status, headers) {
          if (status < 200) return; // 103 Early Hints and its like only announce the answer
          head = { status, headers, maxBytes: status < 300 ? request.maxBytes : MAX_ERROR_BYTES };
        },
        onResponseData(controller, chunk) {
          bytes += chunk.length;
          if (head === undefined || settled) return;
          if (bytes > head.maxBytes) return breakOff('too_large', `the answer is larger than ${head.maxBytes} bytes`);
          if (request.sink === undefined || head.status >= 300) return void chunks.push(chunk);
          const taken = takes(request.sink, chunk);
          if (taken === undefined) return;
          // A part may come though the connection is paused, because it had been read by then: they are taken one after the other.
          controller.pause();
          const all = (taking === undefined ? taken : Promise.all([taking, taken])).then(
            () => {
              if (taking !== all) return;
              taking = undefined;
              controller.resume();
            },
            () => breakOff('aborted', 'what was to take the answer failed'),
          );
          taking = all;
        },
        onResponseEnd() {
          release();
          const { status, headers } = head ?? {};
          if (status === undefined || headers === undefined) return;
          const end = (): void => settle({ kind: 'answer', status, headers, body: Buffer.concat(chunks) });
          if (taking === undefined) end();
          else void taking.then(end);
        },
        onResponseError(_controller, error) {
          release();
          if (codeOf(error) !== 'UND_ERR_INVALID_ARG') return breakOff('connection', detailOf(error));
          settled = true; // a request nobody could send is a mistake of ours
          ended.abort(ENDED);
          forget?.();
          reject(new BrxError('BRX_INTERNAL', `a request cannot be sent: ${messageOf(error)}`));
        },
      },
    );
  });
}

/** What a sink throws at once is as what it rejects with. */
function takes(sink: NonNullable<HttpRequest['sink']>, part: Buffer): Promise<void> | undefined {
  try {
    return sink(part);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(messageOf(error)));
  }
}

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
};

/** An AggregateError (all addresses of a host refused) has no message of its own. */
function detailOf(error: unknown): string {
  const text = messageOf(error);
  return [codeOf(error), text === '' && error instanceof AggregateError ? messageOf(error.errors[0]) : text].filter((part) => part !== '').join(': ');
}
