import { createHmac } from 'node:crypto';
import { BrxError } from '../errors.ts';
import { onAbort } from '../platform/abort.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { Background } from './background.ts';
import type { Guesses } from './guesses.ts';
import type { Expansion, Order, Seller } from './model.ts';
import { orderShape } from './order-shape.ts';
import type { OrderObserver } from './orders.ts';

/** What can happen to a webhook on its way. Nobody knows which of it CardTrader does (section 9): at most once, in any order. */
export const WEBHOOK_FAULTS = {
  lost: 'it is never sent',
  twice: 'the same call, envelope and all, is sent twice',
  late: 'it is sent `delayMs` (1,000) later',
  reordered: 'it is sent after the seller’s next one, or `delayMs` (1,000) later if none comes',
  wrong_signature: 'it is signed with a secret that is not the seller’s',
  test_mode: 'its mode is `test`',
  unknown_cause: 'its cause is one the documentation does not have',
  destroyed: 'it says `order.destroy`, and its data is empty',
  oversize: 'it has 2 MiB of spaces at its end',
} as const;
export type WebhookFault = keyof typeof WEBHOOK_FAULTS;
export const WEBHOOK_FAULT_KINDS = Object.keys(WEBHOOK_FAULTS) as WebhookFault[];

/** Chance of each kind on each webhook, 0 to 1. */
export type WebhookPlan = Readonly<Partial<Record<WebhookFault, number>>>;

export interface WebhookInjection {
  readonly kind: WebhookFault;
  /** Of any seller, if left out. */
  readonly sellerId?: number | undefined;
  /** How often it fires, on consecutive webhooks; 1. */
  readonly times?: number | undefined;
  readonly delayMs?: number | undefined;
}

/** A webhook as it was sent, or was not. */
export interface Delivery {
  readonly envelopeId: string;
  readonly sellerId: number;
  readonly orderId: number;
  readonly cause: string;
  readonly fault: WebhookFault | null;
  /** What it was answered with; null: it was lost, or nobody answered. */
  status: number | null;
}

interface Call {
  readonly delivery: Delivery;
  readonly url: string;
  readonly body: Buffer;
  readonly signature: string;
}

const DELAY_MS = 1_000;
const KEPT = 20_000;
const OVERSIZE_BYTES = 2 * 1_048_576;

export interface WebhooksDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly background: Background;
  readonly guesses: Guesses;
  readonly seller: (id: number) => Seller | undefined;
  readonly expansions: ReadonlyMap<number, Expansion>;
}

/**
 * Tells each seller's URL of orders that are new or have changed, but not of what the owner did through the API (section 9). One after the
 * other for a seller, each once, as long as no fault is asked for; what is not answered is not sent again.
 */
export class Webhooks {
  readonly #deps: WebhooksDeps;
  readonly #urls = new Map<number, string>();
  readonly #fired = new Map<WebhookFault, number>(WEBHOOK_FAULT_KINDS.map((kind) => [kind, 0]));
  readonly #queues = new Map<number, Promise<void>>();
  /** Held back until the seller's next one is sent. */
  readonly #held = new Map<number, Call[]>();
  #plan: WebhookPlan = {};
  #injected: { injection: WebhookInjection; left: number }[] = [];
  #sent: Call[] = [];
  /** Of unsent ones too, oldest first. */
  #deliveries: Delivery[] = [];

  constructor(deps: WebhooksDeps) {
    this.#deps = deps;
  }

  /** null: none any more. */
  setUrl(sellerId: number, url: string | null): void {
    if (url === null) this.#urls.delete(sellerId);
    else this.#urls.set(sellerId, url);
  }

  setPlan(plan: WebhookPlan): void {
    for (const kind of Object.keys(plan)) check(kind);
    this.#plan = plan;
  }

  inject(injection: WebhookInjection): void {
    check(injection.kind);
    this.#injected.push({ injection, left: injection.times ?? 1 });
  }

  get fired(): Readonly<Record<WebhookFault, number>> {
    return Object.fromEntries(this.#fired) as Record<WebhookFault, number>;
  }

  deliveries(sellerId?: number): Delivery[] {
    return this.#deliveries.filter((delivery) => sellerId === undefined || delivery.sellerId === sellerId);
  }

  /** Everything that was sent to a seller is sent once more, byte for byte, as somebody does who has listened. Answers how many. */
  replay(sellerId: number): number {
    const calls = this.#sent.filter(({ delivery }) => delivery.sellerId === sellerId);
    for (const call of calls) this.#enqueue({ ...call, delivery: this.#record({ ...call.delivery, status: null }) });
    return calls.length;
  }

  readonly notify: OrderObserver = ({ order, cause, byApi }) => {
    const url = this.#urls.get(order.sellerId);
    const seller = this.#deps.seller(order.sellerId);
    if (url === undefined || seller === undefined || byApi) return;
    const chosen = this.#choose(order.sellerId);
    const call = this.#callOf(order, seller, url, cause, chosen?.kind ?? null);
    const held = this.#held.get(order.sellerId) ?? [];
    this.#held.delete(order.sellerId);
    if (chosen?.kind === 'late') {
      this.#later(chosen.delayMs ?? DELAY_MS, () => this.#enqueue(call));
    } else if (chosen?.kind === 'reordered') {
      this.#held.set(order.sellerId, [call]);
      this.#later(chosen.delayMs ?? DELAY_MS, () => this.#letGo(order.sellerId, call));
    } else if (chosen?.kind !== 'lost') {
      this.#enqueue(call);
      if (chosen?.kind === 'twice') this.#enqueue({ ...call, delivery: this.#record({ ...call.delivery }) });
    }
    for (const waiting of held) this.#enqueue(waiting);
  };

  #letGo(sellerId: number, call: Call): void {
    if (this.#held.get(sellerId)?.includes(call) !== true) return; // sent after its successor
    this.#held.delete(sellerId);
    this.#enqueue(call);
  }

  #choose(sellerId: number): { kind: WebhookFault; delayMs?: number | undefined } | undefined {
    const waiting = this.#injected.find(({ injection }) => injection.sellerId === undefined || injection.sellerId === sellerId);
    const chosen = waiting?.injection ?? this.#planned();
    if (waiting !== undefined) waiting.left -= 1;
    this.#injected = this.#injected.filter(({ left }) => left > 0);
    if (chosen !== undefined) this.#fired.set(chosen.kind, (this.#fired.get(chosen.kind) ?? 0) + 1);
    return chosen;
  }

  #planned(): { kind: WebhookFault } | undefined {
    const kind = WEBHOOK_FAULT_KINDS.find((each) => this.#deps.random.chance(this.#plan[each] ?? 0));
    return kind === undefined ? undefined : { kind };
  }

  #callOf(order: Order, seller: Seller, url: string, kind: 'create' | 'update', fault: WebhookFault | null): Call {
    const { random, clock, guesses, expansions } = this.#deps;
    const cause = fault === 'unknown_cause' ? 'product.update' : fault === 'destroyed' ? 'order.destroy' : `order.${kind}`;
    const envelope = {
      id: random.uuidV4(),
      time: Math.floor(clock.now() / 1_000),
      cause,
      object_class: fault === 'unknown_cause' ? 'Product' : 'Order',
      object_id: order.id,
      mode: fault === 'test_mode' ? 'test' : 'live',
      data: fault === 'destroyed' ? {} : orderShape(order, { seller, guesses, expansions, inList: false }),
    };
    const body = Buffer.from(JSON.stringify(envelope) + (fault === 'oversize' ? ' '.repeat(OVERSIZE_BYTES) : ''));
    const secret = fault === 'wrong_signature' ? 'somebody else’s' : seller.sharedSecret;
    const delivery = this.#record({ envelopeId: envelope.id, sellerId: seller.id, orderId: order.id, cause, fault, status: null });
    return { delivery, url, body, signature: createHmac('sha256', secret).update(body).digest('base64') };
  }

  #record(delivery: Delivery): Delivery {
    this.#deliveries.push(delivery);
    if (this.#deliveries.length > KEPT) this.#deliveries = this.#deliveries.slice(-KEPT / 2);
    return delivery;
  }

  #later(ms: number, then: () => void): void {
    const { clock, background } = this.#deps;
    background.run(() => clock.sleep(ms, background.signal).then(then));
  }

  #enqueue(call: Call): void {
    const { sellerId } = call.delivery;
    const before = this.#queues.get(sellerId) ?? Promise.resolve();
    const sending = before.then(() => this.#send(call));
    this.#queues.set(sellerId, sending);
    this.#sent.push(call);
    if (this.#sent.length > KEPT) this.#sent = this.#sent.slice(-KEPT / 2);
    this.#deps.background.run(() => sending);
  }

  /** Whoever does not answer has not heard of it: that is no failure of the simulator. */
  async #send({ delivery, url, body, signature }: Call): Promise<void> {
    const sending = new AbortController();
    const forget = onAbort(this.#deps.background.signal, () => sending.abort());
    try {
      const response = await fetch(url, { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': 'application/json', signature }, signal: sending.signal });
      await response.arrayBuffer();
      delivery.status = response.status;
    } catch {
      delivery.status = null;
    } finally {
      forget();
    }
  }
}

function check(kind: string): void {
  if (!Object.hasOwn(WEBHOOK_FAULTS, kind)) throw new BrxError('BRX_USAGE', `there is no webhook fault ${kind}`, { remedy: `they are ${WEBHOOK_FAULT_KINDS.join(', ')}` });
}

/** The table of the README. */
export const webhookTable = (): string => ['| webhook fault | what it does |', '|---|---|', ...WEBHOOK_FAULT_KINDS.map((kind) => `| \`${kind}\` | ${WEBHOOK_FAULTS[kind]} |`)].join('\n');
