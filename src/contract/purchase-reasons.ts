/**
 * Why a purchase was not confirmed: the closed list of PurchaseSettled's `reason`. The database checks it, the documentation for
 * producers prints it.
 */
export const PURCHASE_REASONS = {
  insufficient_stock: 'fewer copies are available here than the purchase wants',
  unknown_item: 'the purchase names an item that was never seen',
  remote_insufficient_stock: 'CardTrader lists fewer copies than the purchase wants, because some were sold there',
  remote_product_gone: 'the listing on CardTrader is gone: sold out or deleted there',
  remote_refused: 'CardTrader refused to change the listing',
  expired: 'the stock could not be taken on both sides before the deadline',
  cancelled: 'a PurchaseCancelled called it off',
  operator: 'an operator ended it',
  discarded: 'an operator discarded the event while its seller was parked',
} as const;

export type PurchaseReason = keyof typeof PURCHASE_REASONS;
