/** One item: what it is now and how it came to be so, from the ledger. */
export type { HistoryRow, HoldRow, ItemRow, ListingRow, OperationRow, ParkedRow } from './item.sql.ts';
export { explainItem, itemHistory, type ItemHistory, type ItemReport } from './item.ts';
export { holdLines, listingLines, operationLines } from './sale-words.ts';
export { flagNames, historyWords, parkedLines, stateLines, timeText } from './words.ts';
