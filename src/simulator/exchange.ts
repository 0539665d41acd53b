import type { ServerResponse } from 'node:http';
import { errorIn, json, page, throttled, unauthorized, type Answer } from './answers.ts';
import { newToken } from './accounts.ts';
import type { Fault } from './faults.ts';
import type { RequestRecord } from './requests.ts';
import type { Call, Route } from './routes/call.ts';
import { exportedProducts } from './routes/products.ts';
import { note, sell } from './sales.ts';
import { cut, dribble, send, sendHalf } from './wire.ts';

/** A request on its way to its answer. */
export interface Exchange {
  readonly call: Call;
  readonly route: Route;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  /** The way back, if it takes time. */
  readonly pause: (() => Promise<void>) | undefined;
}

const LATE_MS = 1_000;
const SLOW_MS = 2_000;
const STALE_MS = 5_000;

/** Carries out a request and answers it, or does to it what the fault says. Every branch says when the write happens. */
export async function carryOut(exchange: Exchange, fault: Fault | undefined): Promise<void> {
  const { call, response, record, pause } = exchange;
  const { world } = call;
  const apply = (): Answer => exchange.route.handle(call);
  const answer = (given: Answer): void => answered(exchange, given.status, send(response, given));
  if (fault === undefined) {
    const given = apply();
    await pause?.();
    return answer(given);
  }

  record.fault = fault.kind;
  const delayMs = (byDefault: number): number => fault.delayMs ?? byDefault;
  switch (fault.kind) {
    case 'response_lost':
      apply();
      return cut(response);
    case 'applied_late':
      if (fault.answer !== 'hang') cut(response);
      await world.clock.sleep(delayMs(LATE_MS), world.background.signal);
      apply();
      return;
    case 'error_after_apply':
      apply();
      // The client gets a whole answer, but not that of its write: nothing was confirmed to it.
      return misled(exchange, errorIn(fault.shape ?? 'envelope', fault.status ?? 500, call.requestId));
    case 'error_before_apply':
      return answer(errorIn(fault.shape ?? 'envelope', fault.status ?? 503, call.requestId));
    case 'reset_before_apply':
      return cut(response);
    case 'reset_mid_body':
      return sendHalf(response, apply());
    case 'html_error':
      return answer(page(fault.status ?? 502, 'Bad gateway'));
    case 'edge_403':
      return answer(page(403, 'Attention Required'));
    case 'throttled':
      return answer(throttled('Too many requests: max 200 requests per 10 seconds', fault.retryAfterSeconds));
    case 'stale_export':
      return answer(exchange.route.handle({ ...call, staleAt: world.clock.now() - delayMs(STALE_MS) }));
    case 'truncated_export':
      return answer(truncated(apply(), fault.keep ?? 0.5));
    case 'slow_answer': {
      const slow = apply();
      await world.clock.sleep(delayMs(SLOW_MS), world.background.signal);
      return answer(slow);
    }
    case 'slow_loris': {
      const slow = apply();
      return answered(exchange, slow.status, await dribble(response, slow, delayMs(SLOW_MS), world.clock, world.background.signal));
    }
    case 'token_revoked':
      world.store.setToken(call.seller.id, undefined);
      return answer(unauthorized(call.requestId));
    case 'token_regenerated':
      world.store.setToken(call.seller.id, newToken(world.random, call.seller, world.clock.now()));
      return answer(unauthorized(call.requestId));
    case 'sale_after_read': {
      const seen = apply();
      sellSeen(call, fault);
      return answer(seen);
    }
    case 'product_vanishes': {
      const product = world.store.productOf(call.seller.id, call.id);
      if (product !== undefined) {
        world.store.remove(product.id, world.clock.now());
        note(world, product, { verb: 'vanish', source: 'fault', before: product.quantity, after: null });
      }
      return answer(apply());
    }
  }
}

function answered(exchange: Exchange, status: number, whole: boolean): void {
  if (!whole) return;
  const { call, record } = exchange;
  call.world.requests.answered(record, status);
  for (const effect of call.writer.effects) effect.answered = true;
}

function misled({ call, response, record }: Exchange, answer: Answer): void {
  if (send(response, answer)) call.world.requests.answered(record, answer.status);
}

function truncated(answer: Answer, keep: number): Answer {
  const rows: unknown = JSON.parse(answer.body);
  return Array.isArray(rows) ? json(answer.status, rows.slice(0, Math.floor(rows.length * keep))) : answer;
}

/** A buyer comes between the client's read and whatever it does with it. */
function sellSeen(call: Call, fault: Fault): void {
  const { world } = call;
  const inStock = exportedProducts(call).filter((product) => product.quantity > 0);
  const named = fault.when?.productId;
  const product = named === undefined ? inStock[world.random.below(inStock.length)] : inStock.find((one) => one.id === named);
  if (product === undefined) return;
  sell(world, { sellerId: call.seller.id, lines: [{ productId: product.id, quantity: Math.min(product.quantity, fault.quantity ?? 1) }] });
}
