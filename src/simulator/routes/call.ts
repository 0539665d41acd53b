import type { Answer } from '../answers.ts';
import type { Bucket } from '../limits.ts';
import type { Seller } from '../model.ts';
import type { Writer } from '../products.ts';
import type { World } from '../world.ts';

/** A request of a known seller, within the limit, its body read. */
export interface Call {
  readonly world: World;
  readonly seller: Seller;
  readonly writer: Writer;
  readonly requestId: string;
  /** The number, or the uuid, in the path. */
  readonly id: number;
  readonly uuid: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined: none was sent, or it was none. */
  readonly body: unknown;
  /** An export looks back to this moment, if it is given. */
  readonly staleAt?: number | undefined;
}

export interface Route {
  readonly bucket: Bucket;
  readonly writes: boolean;
  readonly exports?: true;
  /** At once: nothing else happens while it runs. */
  readonly handle: (call: Call) => Answer;
}

export const read = (handle: Route['handle'], bucket: Bucket = 'all'): Route => ({ bucket, writes: false, handle });
export const write = (handle: Route['handle']): Route => ({ bucket: 'all', writes: true, handle });
