import type { IncomingMessage } from 'node:http';

/** A call as it came in; `body` null: longer than anybody takes. */
export interface WebhookRequest {
  readonly userId: string;
  readonly body: Buffer | null;
  readonly signature: string | undefined;
}

/** Whoever takes calls; answers with an HTTP status and a word, never with a detail: whoever calls is not known. */
export type WebhookHandler = (request: WebhookRequest) => Promise<{ readonly status: number; readonly word: string }>;

/** An order of 1,000 lines has some 800 kB. */
export const MAX_WEBHOOK_BYTES = 1_048_576;

/** The body byte for byte, because it is signed; null where it is longer than `MAX_WEBHOOK_BYTES`, of which no more is read then. */
export async function readBody(payload: IncomingMessage): Promise<Buffer | null> {
  if (Number(payload.headers['content-length'] ?? 0) > MAX_WEBHOOK_BYTES) return null;
  const parts: Buffer[] = [];
  let length = 0;
  // Not destroyed when this ends early: its connection is the answer's too.
  for await (const part of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_WEBHOOK_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}
