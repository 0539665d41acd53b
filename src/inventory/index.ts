export { DRIFTED, MAX_ON_HAND, OVERSOLD, REMOVED, type Item, type Refusal } from './item.ts';
export { StockFold, type LedgerRow, type MoveRow, type StockMove } from './fold.ts';
export { readStock, writeMoves, writeStock } from './stock.sql.ts';
export { createRetention, pruneStep } from './retention.ts';
