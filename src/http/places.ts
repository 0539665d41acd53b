import { z } from 'zod';
import { Problem } from './problems.ts';

/** Where a list goes on whose order is not that of one id, in a form nobody is tempted to make up. */
export const writePlace = (place: readonly (string | number)[]): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** A time in a place, milliseconds: none that a Date does not know, and PostgreSQL neither. */
export const placeTime = z.int().min(0).max(8_640_000_000_000_000);

/** The place in a cursor; undefined: from the beginning. */
export function placeIn<Place extends z.ZodType>(cursor: string | undefined, shape: Place): z.output<Place> | undefined {
  if (cursor === undefined) return undefined;
  const read = shape.safeParse(parsed(Buffer.from(cursor, 'base64url').toString()));
  if (read.success) return read.data;
  throw noCursor();
}

export const noCursor = (): Problem => new Problem('invalid_request', 'query.cursor: is no cursor', { errors: [{ at: 'query.cursor', problem: 'is no cursor' }], remedy: 'hand on next_cursor of the answer before, as it is' });

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
