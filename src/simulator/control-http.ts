import { z } from 'zod';
import { BrxError } from '../errors.ts';
import { json, type Answer } from './answers.ts';
import type { Control } from './control.ts';
import { ERROR_SHAPES, FAULT_KINDS, type FaultPlan, type Injection } from './faults.ts';
import { CONTROL_PATH, type ControlHandler } from './http.ts';
import { ORDER_EVENTS } from './order-states.ts';
import { WEBHOOK_FAULT_KINDS, type WebhookInjection, type WebhookPlan } from './webhooks.ts';

/**
 * The control over HTTP, for a simulator that is a process of its own: JSON, field names as in-process. An unknown id or a body
 * that cannot be used is a 400 with the reason.
 */
interface Command {
  readonly body?: z.ZodType;
  readonly run: (control: Control, given: { ids: number[]; body: never; query: URLSearchParams }) => unknown;
}

const id = z.int().min(1);
const details = {
  delayMs: z.number().min(0).optional(),
  status: z.int().min(400).max(599).optional(),
  shape: z.enum(ERROR_SHAPES).optional(),
  answer: z.enum(['cut', 'hang']).optional(),
  retryAfterSeconds: z.int().min(0).optional(),
  keep: z.number().min(0).max(1).optional(),
  quantity: id.optional(),
};
const INJECTION = z.strictObject({
  kind: z.enum(FAULT_KINDS),
  ...details,
  times: id.optional(),
  when: z.strictObject({ sellerId: id.optional(), productId: id.optional(), operationId: z.guid().optional(), method: z.string().optional(), path: z.string().optional(), nth: id.optional() }).optional(),
});
const chance = z.number().min(0).max(1);
const PLAN = z.partialRecord(z.enum(FAULT_KINDS), z.union([chance, z.strictObject({ chance, ...details })]));
const SALE = z.union([
  z.strictObject({ sellerId: id, productId: id, quantity: id.optional(), viaZero: z.boolean().optional(), presale: z.boolean().optional(), as: z.enum(['seller', 'buyer']).optional() }),
  z.strictObject({ sellerId: id, lines: z.array(z.strictObject({ productId: id, quantity: id })), viaZero: z.boolean().optional(), presale: z.boolean().optional(), as: z.enum(['seller', 'buyer']).optional() }),
]);
const SELLER = z.strictObject({ id: id.optional(), name: z.string().optional(), token: z.string().min(8).optional(), currency: z.string().length(3).optional() });
const PRODUCT = z.strictObject({
  id: id.optional(),
  blueprintId: id.optional(),
  quantity: z.int().min(0).optional(),
  priceCents: id.optional(),
  description: z.string().nullable().optional(),
  properties: z.record(z.string(), z.union([z.string(), z.boolean()])).optional(),
  graded: z.boolean().nullable().optional(),
  tag: z.string().nullable().optional(),
  userData: z.string().nullable().optional(),
});
const MOVE = z.strictObject({ event: z.enum(ORDER_EVENTS), requester: z.enum(['seller', 'buyer']).optional(), relist: z.boolean().optional() });
const QUANTITY = z.strictObject({ quantity: z.int().min(0) });
const LINE = z.strictObject({ lineId: id, relist: z.boolean().optional() });

const WEBHOOK = z.strictObject({ url: z.url().nullable() });
const WEBHOOK_PLAN = z.partialRecord(z.enum(WEBHOOK_FAULT_KINDS), chance);
const WEBHOOK_INJECTION = z.strictObject({ kind: z.enum(WEBHOOK_FAULT_KINDS), sellerId: id.optional(), times: id.optional(), delayMs: z.number().min(0).optional() });

/** One entry ties a body's schema to what is done with it. */
function command<Body>(body: z.ZodType<Body>, run: (control: Control, given: { ids: number[]; body: Body; query: URLSearchParams }) => unknown): Command {
  return { body, run };
}
const plain = (run: (control: Control, given: { ids: number[]; query: URLSearchParams }) => unknown): Command => ({ run });
const only = (ids: number[], index = 0): number => ids[index] ?? 0;
const numberIn = (query: URLSearchParams, name: string): number | undefined => (query.has(name) ? Number(query.get(name)) : undefined);

export const COMMANDS: Readonly<Record<string, Command>> = {
  'GET ': plain((control) => summary(control)),
  'GET sellers': plain((control) => control.sellers()),
  'POST sellers': command(SELLER, (control, { body }) => control.addSeller(body)),
  'POST sellers/:id/revoke-token': plain((control, { ids }) => (control.revokeToken(only(ids)), {})),
  'POST sellers/:id/regenerate-token': plain((control, { ids }) => ({ token: control.regenerateToken(only(ids)) })),
  'GET sellers/:id/products': plain((control, { ids }) => control.products(only(ids))),
  'POST sellers/:id/products': command(PRODUCT, (control, { ids, body }) => control.addProduct(only(ids), body)),
  'GET sellers/:id/orders': plain((control, { ids }) => control.orders(only(ids))),
  'POST sellers/:id/merge-hub': plain((control, { ids }) => control.mergeHub(only(ids)) ?? null),
  'GET products/:id': plain((control, { ids }) => control.product(only(ids)) ?? null),
  'PUT products/:id': command(QUANTITY, (control, { ids, body }) => control.setQuantity(only(ids), body.quantity)),
  'DELETE products/:id': plain((control, { ids }) => (control.removeProduct(only(ids)), {})),
  'POST sell': command(SALE, (control, { body }) => control.sell(body)),
  'POST orders/:id/move': command(MOVE, (control, { ids, body }) => control.moveOrder(only(ids), body) ?? null),
  'POST orders/:id/cancel-line': command(LINE, (control, { ids, body }) => control.cancelLine(only(ids), body.lineId, { relist: body.relist === true }) ?? null),
  'POST orders/:id/end-presale': plain((control, { ids }) => control.endPresale(only(ids)) ?? null),
  'PUT sellers/:id/webhook': command(WEBHOOK, (control, { ids, body }) => (control.setWebhook(only(ids), body.url), {})),
  'POST sellers/:id/replay-webhooks': plain((control, { ids }) => ({ sent: control.replayWebhooks(only(ids)) })),
  'GET webhooks': plain((control, { query }) => ({ fired: control.webhookFaults(), deliveries: control.webhooks(numberIn(query, 'sellerId')).slice(-(numberIn(query, 'limit') ?? 1_000)) })),
  'POST webhook-faults': command(WEBHOOK_INJECTION as z.ZodType<WebhookInjection>, (control, { body }) => (control.injectWebhook(body), {})),
  'PUT webhook-faults': command(WEBHOOK_PLAN as z.ZodType<WebhookPlan>, (control, { body }) => (control.setWebhookFaults(body), {})),
  'GET faults': plain((control) => ({ fired: control.faults(), waiting: control.waitingFaults() })),
  'POST faults': command(INJECTION as z.ZodType<Injection>, (control, { body }) => (control.inject(body), {})),
  'PUT faults': command(PLAN as z.ZodType<FaultPlan>, (control, { body }) => (control.setFaults(body), {})),
  'DELETE faults': plain((control) => (control.clearFaults(), {})),
  'GET effects': plain((control, { query }) => control.ledger({ operationId: query.get('operationId') ?? undefined, sellerId: numberIn(query, 'sellerId'), productId: numberIn(query, 'productId') }).slice(-(numberIn(query, 'limit') ?? 1_000))),
  'GET repeated': plain((control) => control.repeated()),
  'GET requests': plain((control, { query }) => requestsOf(control, numberIn(query, 'sellerId'))),
  'GET guesses': plain((control) => control.guesses),
  'POST idle': plain(async (control) => (await control.idle(), {})),
  'POST reset': plain(async (control) => (await control.reset(), {})),
};

export function createControlHandler(control: Control): ControlHandler {
  return async (method, url, body) => {
    const path = url.pathname.slice(CONTROL_PATH.length + 1);
    const ids = [...path.matchAll(/\/(\d+)(?=\/|$)/g)].map((match) => Number(match[1]));
    const found = COMMANDS[`${method} ${path.replaceAll(/\/\d+(?=\/|$)/g, '/:id')}`];
    if (found === undefined) return undefined;
    const read = found.body?.safeParse(body ?? {});
    if (read?.success === false) return refused(read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
    try {
      return json(200, (await found.run(control, { ids, body: read?.data as never, query: url.searchParams })) ?? null);
    } catch (error) {
      if (error instanceof BrxError) return refused(error.message); // what the caller made up is said back to the caller
      throw error;
    }
  };
}

const refused = (message: string): Answer => json(400, { error: message });

function summary(control: Control): object {
  const sellers = control.sellers();
  return {
    sellers: sellers.length,
    products: sellers.reduce((sum, seller) => sum + control.products(seller.id).length, 0),
    orders: sellers.reduce((sum, seller) => sum + control.orders(seller.id).length, 0),
    requests: control.requests(),
    faults: control.faults(),
    repeated: control.repeated().length,
    pending: control.pending,
    connections: control.connections,
    routes: Object.keys(COMMANDS).map((route) => route.replace(' ', ` ${CONTROL_PATH}/`)),
  };
}

function requestsOf(control: Control, sellerId: number | undefined): object {
  if (sellerId === undefined) return control.requests();
  const densest = { all: control.densestWindow(sellerId), marketplace: control.densestWindow(sellerId, { bucket: 'marketplace', windowMs: 1_000 }), jobs: control.densestWindow(sellerId, { bucket: 'jobs', windowMs: 1_000 }) };
  return { ...control.requests(sellerId), densest, recent: control.recentRequests(sellerId) };
}
