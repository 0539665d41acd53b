export { DRIFTED, MAX_ON_HAND, OVERSOLD, REMOVED, type Item, type Refusal } from './item.ts';
export { StockFold, type LedgerRow } from './fold.ts';
export { LANE_LOCK_CLASS, lockLanes, readStock, writeStock } from './stock.sql.ts';
export { createRetention, pruneStep } from './retention.ts';
