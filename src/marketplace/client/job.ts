import { z } from 'zod';
import { readNotices, type Notice } from './error-body.ts';
import { count, optionalId, optionalInteger, read, type Read } from './lenient.ts';

/** A bulk job. `completed` does not say that every item succeeded: walk `results`. */
export interface Job {
  /** null where CardTrader does not know it (state `unknown`). */
  readonly uuid: string | null;
  /** Known: pending, running, unprocessable, completed, unknown. */
  readonly state: string;
  readonly results: readonly JobResult[];
}

export interface JobResult {
  /** Known: ok, warning, error. */
  readonly result: string;
  /** Place in the request, from 0: all that ties the result to its item. */
  readonly index: number;
  readonly productId: number | null;
  readonly errors: readonly Notice[];
  readonly warnings: readonly Notice[];
}

const notices = z.unknown().optional().transform(readNotices);

export const JobSchema = z
  .object({
    uuid: z.string().nullish(),
    state: z.string().min(1),
    results: z
      .array(
        z
          .object({ result: z.string(), job_index: count, product_id: optionalId, errors: notices, warnings: notices })
          .transform((wire): JobResult => ({ result: wire.result, index: wire.job_index, productId: wire.product_id, errors: wire.errors, warnings: wire.warnings })),
      )
      .nullish(),
  })
  .transform((wire): Job => ({ uuid: wire.uuid ?? null, state: wire.state, results: wire.results ?? [] }));

/** `{job: uuid}`, which a bulk call answers at once. */
export function readAccepted(value: unknown): Read<{ job: string }> {
  return read(z.object({ job: z.string().regex(JOB_UUID, { error: 'is no job id' }) }), value);
}

export const JOB_UUID = /^[\w-]{1,100}$/;

/** The seller's app: the test of a token. */
export const InfoSchema = z
  .object({ id: optionalInteger, name: z.string().nullable().catch(null), shared_secret: z.string().nullable().catch(null), user_id: optionalId })
  .refine((app) => app.id !== null || app.user_id !== null || app.name !== null, { error: 'is not an app' })
  .transform((app): RemoteApp => ({ id: app.id, name: app.name, sharedSecret: app.shared_secret, sellerId: app.user_id }));

export interface RemoteApp {
  readonly id: number | null;
  readonly name: string | null;
  /** Signs webhooks. A secret. */
  readonly sharedSecret: string | null;
  /** CardTrader's id of the seller; one sample answer lacks it. */
  readonly sellerId: number | null;
}
