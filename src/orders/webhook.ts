import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { BrxError } from '../errors.ts';
import { webhookContext } from '../marketplace/index.ts';
import { toBrxError, recognise, type Postgres } from '../platform/postgres/index.ts';
import type { Keyring } from '../platform/secrets/index.ts';
import { Together } from '../platform/together.ts';
import { keepCalls, readSecrets, type WebhookCall } from './inbox.sql.ts';

/** What became of a call; `forged` also stands for a seller nobody knows, so that nobody learns who is one. */
export const WEBHOOK_OUTCOMES = ['accepted', 'duplicate', 'ignored', 'forged', 'malformed', 'too_large', 'unavailable'] as const;
export type WebhookOutcome = (typeof WEBHOOK_OUTCOMES)[number];

export interface WebhookDeps {
  readonly postgres: Postgres;
  readonly keyring: Keyring;
  readonly onOutcome: (outcome: WebhookOutcome) => void;
  /** A call was kept: its order is to be read. */
  readonly onAccepted: () => void;
  readonly onProblem: (error: string) => void;
}

export interface ReceivedCall {
  readonly userId: string;
  /** As it came: the signature is over these bytes. null: longer than is taken. */
  readonly body: Buffer | null;
  /** The header `Signature`. */
  readonly signature: string | undefined;
}

const text = z.string().min(1).max(100).refine((value) => !value.includes('\0'));
const ENVELOPE = z.object({ id: text, cause: text, mode: z.string().optional(), object_class: z.string().optional(), object_id: z.union([z.int(), z.string().regex(/^\d{1,15}$/).transform(Number)]).optional() });
/** Base64 of 32 bytes. */
const SIGNATURE = /^[A-Za-z0-9+/]{43}=$/;
const SECRETS_AT_ONCE = 500;
/** What the caller is told: nothing that tells one seller from another, or a wrong signature from a seller nobody knows. */
const ANSWERS: Readonly<Record<WebhookOutcome, { readonly status: number; readonly word: string }>> = {
  accepted: { status: 200, word: 'accepted' },
  duplicate: { status: 200, word: 'known' },
  ignored: { status: 200, word: 'ignored' },
  forged: { status: 401, word: 'the signature is not right' },
  malformed: { status: 400, word: 'this is no webhook of CardTrader' },
  too_large: { status: 413, word: 'too large' },
  unavailable: { status: 503, word: 'try again' },
};
/** Compared with where there is no secret, so that a seller nobody knows takes as long as one with a wrong signature. */
const NO_SECRET = 'no secret';

/**
 * Takes webhooks of CardTrader: checks who signed, keeps which order it is about, and answers; the order is read afterwards, by whoever
 * looks at orders. A call is believed in nothing else: it may be forged by whoever has the secret, late, or out of order. Calls
 * that come in at about the same time share one look and one write, so that a storm of them takes one connection.
 */
export function createWebhookReceiver({ postgres, keyring, onOutcome, onAccepted, onProblem }: WebhookDeps): (call: ReceivedCall) => Promise<{ status: number; word: string }> {
  /** One that does not open is a matter of its seller alone: calls of others are in the same batch. */
  const secrets = new Together<string, string | { readonly problem: string } | undefined>(async (userIds) => {
    const sealed = await readSecrets(postgres.prisma, [...new Set(userIds)]);
    return userIds.map((userId) => {
      const secret = sealed.get(userId);
      if (secret === undefined) return undefined;
      const opened = keyring.tryOpen(secret, webhookContext(userId));
      return 'plain' in opened ? opened.plain : opened;
    });
  }, { most: SECRETS_AT_ONCE });
  const inbox = new Together<WebhookCall, boolean>(async (calls) => {
    const fresh = new Set((await keepCalls(postgres.prisma, calls)).map(({ userId, envelopeId }) => `${userId}/${envelopeId}`));
    // Of two equal ones in one batch the first is the new one.
    return calls.map(({ userId, envelopeId }) => fresh.delete(`${userId}/${envelopeId}`));
  }, { most: SECRETS_AT_ONCE });

  async function receive({ userId, body, signature }: ReceivedCall): Promise<WebhookOutcome> {
    if (body === null) return 'too_large';
    if (signature === undefined || !SIGNATURE.test(signature)) return 'forged';
    const secret = await secrets.do(userId);
    if (typeof secret === 'object') throw new BrxError('BRX_SECRET', `the webhook secret of ${userId}: ${secret.problem}`);
    const expected = createHmac('sha256', secret ?? NO_SECRET).update(body).digest();
    const isRight = timingSafeEqual(expected, Buffer.from(signature, 'base64'));
    if (secret === undefined || !isRight) return 'forged';
    const envelope = ENVELOPE.safeParse(parsed(body));
    if (!envelope.success) return 'malformed';
    const { id, cause, mode, object_class: about = 'Order', object_id: orderId } = envelope.data;
    // Causes and objects that are new to us are no error of CardTrader's: answered as everything else.
    if (mode === 'test' || about !== 'Order' || !cause.startsWith('order.')) return 'ignored';
    if (orderId === undefined || orderId < 1) return 'malformed';
    const isNew = await inbox.do({ userId, envelopeId: id, cause, orderId });
    if (isNew) onAccepted();
    return isNew ? 'accepted' : 'duplicate';
  }

  return async (call) => {
    let outcome: WebhookOutcome;
    try {
      outcome = await receive(call);
    } catch (error) {
      const known = recognise(error) === undefined ? error : toBrxError(error);
      if (!(known instanceof BrxError)) throw error;
      onProblem(known.message);
      outcome = 'unavailable';
    }
    onOutcome(outcome);
    return ANSWERS[outcome];
  };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
