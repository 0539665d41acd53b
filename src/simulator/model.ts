/**
 * What a marketplace knows. Objects are never changed but replaced: whoever holds one holds a moment, which is what stale reads,
 * the ledger and order lines need.
 */
export type PropertyValue = string | boolean;
export type Properties = Readonly<Record<string, PropertyValue>>;

export interface EditableProperty {
  readonly name: string;
  readonly type: 'string' | 'boolean';
  readonly possible_values: readonly PropertyValue[];
  /** A text also for booleans, as live data has it. */
  readonly default_value: string;
}

export interface Game {
  readonly id: number;
  readonly name: string;
  readonly display_name: string;
}

export interface Expansion {
  readonly id: number;
  readonly game_id: number;
  readonly code: string;
  readonly name: string;
}

/** In the shape of `GET /blueprints/export`. */
export interface Blueprint {
  readonly id: number;
  readonly name: string;
  readonly version: string | null;
  readonly game_id: number;
  readonly category_id: number;
  readonly expansion_id: number | null;
  readonly image_url: string;
  readonly editable_properties: readonly EditableProperty[];
  readonly fixed_properties: Readonly<Record<string, string>>;
  readonly scryfall_id: string | null;
  readonly card_market_ids: readonly number[];
  readonly tcg_player_id: number | null;
}

export interface Product {
  readonly id: number;
  readonly sellerId: number;
  readonly blueprint: Blueprint;
  readonly quantity: number;
  readonly priceCents: number;
  readonly description: string | null;
  /** The editable ones; fixed ones stand in the blueprint. */
  readonly properties: Properties;
  /** Nullable in older data. */
  readonly graded: boolean | null;
  readonly tag: string | null;
  readonly userData: string | null;
}

export interface Seller {
  readonly id: number;
  readonly name: string;
  readonly appId: number;
  readonly sharedSecret: string;
  /** ISO 4217; all prices of a seller are in it. */
  readonly currency: string;
}

export type OrderState = 'paid' | 'sent' | 'arrived' | 'done' | 'hub_pending' | 'closed' | 'request_for_cancel' | 'canceled' | 'lost';

export interface OrderLine {
  readonly id: number;
  /** The product as it was when it was bought; `quantity` below says how many. */
  readonly product: Product;
  readonly quantity: number;
  /** CT Zero only: the `hub_pending` order in which the line was first sold. */
  readonly hubPendingOrderId: number | null;
  readonly deletedAt: number | null;
  readonly createdAt: number;
}

export interface Order {
  readonly id: number;
  readonly code: string;
  /** Whose account it shows up in. */
  readonly sellerId: number;
  readonly as: 'seller' | 'buyer';
  readonly state: OrderState;
  /** Where a refused cancellation goes back to. */
  readonly stateBefore: OrderState | null;
  readonly viaZero: boolean;
  readonly presale: boolean;
  readonly presaleEndedAt: number | null;
  readonly trackingCode: string | null;
  readonly cancelRequester: 'seller' | 'buyer' | null;
  readonly relist: boolean;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly sentAt: number | null;
  readonly cancelledAt: number | null;
  readonly lines: readonly OrderLine[];
}
