/** Whether operations are carried out for a seller. */
export const SELLER_STATUSES = {
  active: 'operations are carried out',
  paused: 'an operator paused them: operations wait, and sales end at their deadlines',
  token_rejected: 'CardTrader answered 401: operations wait for a new token, and sales end at their deadlines',
} as const;
export type SellerStatus = keyof typeof SELLER_STATUSES;

/** A seller's account on CardTrader, without the token. */
export interface Seller {
  readonly userId: string;
  readonly status: SellerStatus;
  readonly statusReason: string | null;
  readonly statusAt: Date;
  readonly addedAt: Date;
  /** When its token was last seen to work. */
  readonly checkedAt: Date | null;
  /** CardTrader's id of them. */
  readonly sellerId: number | null;
  readonly appName: string | null;
  /** The token's last characters. */
  readonly tokenHint: string;
  /** Name of the key that sealed the token. */
  readonly tokenKeyId: string;
  /** The circuit is open until then: CardTrader gave no usable answer. */
  readonly openUntil: Date | null;
  readonly leased: boolean;
  readonly listings: number;
  /** Listings with a mismatch nobody has looked at. */
  readonly mismatches: number;
  /** Operations that are not settled. */
  readonly outstanding: number;
  /** Whether changes of stock, price and properties go to CardTrader. */
  readonly listingSync: boolean;
  /** Copies of each item that are kept from CardTrader. */
  readonly buffer: number;
}
