import { z } from 'zod';
import { isStorable } from '../contract/index.ts';

/** Of a text that PostgreSQL is asked to keep or to look for. */
export const STORABLE = [isStorable, { error: 'must not hold the NUL character or half a surrogate pair' }] as const;

/** What every change over HTTP says for the record. */
export const operatorBody = z.strictObject({
  reason: z.string().trim().min(1).max(500).refine(...STORABLE).meta({ description: 'why, for the record' }),
  who: z.string().trim().min(1).max(100).refine(...STORABLE).optional().meta({ description: 'on whose behalf, for the record' }),
});

/** As it is written down: whoever has the token is `api`, and says for whom. */
export const byOf = ({ reason, who }: z.output<typeof operatorBody>): { who: string; reason: string } => ({ who: who === undefined ? 'api' : `api: ${who}`, reason });
