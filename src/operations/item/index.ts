/** One item: what it is now and how it came to be so, from the ledger. */
export type { HistoryRow, ItemRow, ParkedRow } from './item.sql.ts';
export { explainItem, type ItemReport } from './item.ts';
export { flagNames, historyWords, parkedLines, stateLines, timeText } from './words.ts';
