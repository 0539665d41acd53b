import type { IncomingMessage } from 'node:http';
import { Problem } from './problems.ts';

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

/** Of all that are in memory at once: a gigabyte could be sent over all connections by somebody who has no secret. The storms of a week's end are a few megabytes. */
const MOST_BYTES_AT_ONCE = 64 * 1_048_576;

/** Bodies in memory: each is counted from its first byte until `give` says that it is done with. */
export class Bodies {
  readonly #most: number;
  #bytes = 0;

  constructor(most: number = MOST_BYTES_AT_ONCE) {
    this.#most = most;
  }

  /** The body byte for byte, because it is signed; null where it is longer than `MAX_WEBHOOK_BYTES`, of which no more is read then. Throws where there is no room for it now. */
  async read(payload: IncomingMessage): Promise<Buffer | null> {
    if (Number(payload.headers['content-length'] ?? 0) > MAX_WEBHOOK_BYTES) return null;
    const parts: Buffer[] = [];
    let length = 0;
    let isWhole = false;
    try {
      // Not destroyed when this ends early: its connection is the answer's too.
      for await (const part of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        length += part.length;
        this.#bytes += part.length;
        if (length > MAX_WEBHOOK_BYTES) return null;
        if (this.#bytes > this.#most) throw new Problem('unavailable', 'too much is being sent at once', { remedy: 'try again in a moment', headers: { 'retry-after': '1' } });
        parts.push(part);
      }
      isWhole = true;
      return Buffer.concat(parts, length);
    } finally {
      if (!isWhole) this.#bytes -= length;
    }
  }

  /** What was read is done with. */
  give(body: unknown): void {
    if (Buffer.isBuffer(body)) this.#bytes -= body.length;
  }
}
