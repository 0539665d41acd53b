import { isCurrency, isStorable, LIMITS, type InventorySnapshotChunk } from '../contract/index.ts';
import type { List, RemoteProduct } from '../marketplace/index.ts';
import type { Finding } from './job.ts';

/** A product as the record has it. */
export type SnapshotProduct = InventorySnapshotChunk['products'][number];

/** Below what a broker takes as one record by default, 1 MB, with room for its headers. */
const MOST_BYTES = 400_000;
/** Items several products name; more of them than this, and the seller's texts are no ids. */
const MOST_AMBIGUOUS = 10_000;

/**
 * Cuts a stock that comes in parts into chunks, and keeps of it only what tells whether it can be believed: how many, which, and which items
 * several products name. Pure but for what it holds.
 */
export class Cut {
  readonly #most: number;
  readonly #named = new Set<string>();
  readonly #ambiguous = new Set<string>();
  #chunk: RemoteProduct[] = [];
  #bytes = 0;
  #ids = new Set<number>();
  #digest: readonly [number, number] = [0, 0];
  unread: Finding[] = [];
  unreadCount = 0;

  /** `most` products a chunk. */
  constructor(most: number = LIMITS.snapshotProducts) {
    this.#most = most;
  }

  /** Products so far, each once. */
  get products(): number {
    return this.#ids.size;
  }

  /** Says which products there are, in whatever order they came. */
  get digest(): string {
    return this.#digest.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  get ambiguous(): string[] {
    return [...this.#ambiguous];
  }

  /** Takes a part of the export; answers the chunks it has filled. `itemOf`: the item a product's text names. */
  take({ items, unread }: List<RemoteProduct>, itemOf: (product: RemoteProduct) => string | null): RemoteProduct[][] {
    const full: RemoteProduct[][] = [];
    for (const product of items) {
      if (this.#ids.has(product.id)) continue; // twice in one export: the first counts
      if (snapshotProduct(product) === undefined) {
        this.#cannotRead(product.id, product.name);
        continue;
      }
      const bytes = 120 + Buffer.byteLength(JSON.stringify([product.description, product.userDataField, product.properties]));
      if (this.#chunk.length > 0 && (this.#chunk.length === this.#most || this.#bytes + bytes > MOST_BYTES)) full.push(this.#next());
      this.#chunk.push(product);
      this.#bytes += bytes;
      this.#ids.add(product.id);
      this.#digest = [(this.#digest[0] + mix(product.id)) | 0, this.#digest[1] ^ mix(product.id + 0x5bd1e995)];
      const named = itemOf(product);
      if (named === null) continue;
      if (this.#named.has(named) && this.#ambiguous.size < MOST_AMBIGUOUS) this.#ambiguous.add(named);
      this.#named.add(named);
    }
    for (const { id } of unread) this.#cannotRead(id, null);
    return full;
  }

  /** What is left over at the end. */
  rest(): RemoteProduct[][] {
    return this.#chunk.length === 0 ? [] : [this.#next()];
  }

  #cannotRead(productId: number | null, name: string | null): void {
    this.unreadCount += 1;
    if (this.unread.length < LIMITS.snapshotProducts) this.unread.push({ kind: 'unread', cause: 'unread', productId, itemId: null, ours: null, theirs: null, name });
  }

  #next(): RemoteProduct[] {
    const chunk = this.#chunk;
    this.#chunk = [];
    this.#bytes = 0;
    return chunk;
  }
}

/** Spreads an id over 32 bits (murmur3's last step): a sum of these tells which ids went into it. */
function mix(id: number): number {
  let word = (id ^ Math.floor(id / 0x1_0000_0000)) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) | 0;
}

const fitting = (text: string | null | undefined, most: number): string | null => (text === null || text === undefined || text.length > most || !isStorable(text) ? null : text);

/**
 * A product as the contract has it; undefined: it breaks a rule that matters to stock. Texts and properties that break one are left out: they
 * are the seller's words, and nothing here rests on them.
 */
export function snapshotProduct(product: RemoteProduct): SnapshotProduct | undefined {
  const { id, blueprintId, quantity, priceCents, currency, bundleSize, description, userDataField, properties } = product;
  if (currency === null || !isCurrency(currency) || quantity > MAX_INT || priceCents > MAX_LONG || id > MAX_LONG || blueprintId > MAX_LONG) return undefined;
  const kept = Object.entries(properties)
    .map(([name, value]) => [name, String(value ?? '')] as const)
    .filter(([name, value]) => name !== '' && name !== '__proto__' && fitting(name, LIMITS.propertyKey) !== null && fitting(value, LIMITS.propertyValue) !== null)
    .slice(0, LIMITS.properties);
  return {
    id,
    blueprint_id: blueprintId,
    quantity,
    price_cents: priceCents,
    currency,
    bundle_size: bundleSize !== null && bundleSize >= 1 && bundleSize <= MAX_INT ? bundleSize : 1,
    description: fitting(description, LIMITS.description),
    user_data_field: fitting(userDataField, LIMITS.userDataField),
    properties: Object.fromEntries(kept),
  };
}

const MAX_INT = 2_147_483_647;
const MAX_LONG = 2 ** 52 - 1;
