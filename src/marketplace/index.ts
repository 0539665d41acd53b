/** CardTrader: accounts, listings, the changes that are wanted there and whoever carries them out. */
export { openAccess, openLimiter, type Access } from './access.ts';
export type { Bucket } from './buckets.ts';
export type { Busiest, Inspection, RateLimiter } from './limiter/index.ts';
export { readUserDataField, type CardTraderClient, type Caller, type List, type OrderLine, type Outcome, type RemoteOrder, type RemoteProduct } from './client/index.ts';
export { countMarketplace } from './counts.sql.ts';
export { createDispatcher } from './dispatcher/role.ts';
export { forgetMismatches, linkListings, markGone, MISMATCHES, selectLinked, selectListing, selectListings, snapshotOf, unlinkListing, upsertListings, type Linked, type Listing, type ListingDetail, type ListingRow, type MismatchKind } from './listings/index.ts';
export { askSync, noteChanges, selectProblems, setListingSync, type ProblemRow, type StockChange, type SyncSettings } from './listing-sync/index.ts';
export { accessMetrics, dispatcherMetrics, watchAccess, watchMarketplace } from './metrics.ts';
export { askOperations, giveVerdicts, OPERATION_REASONS, OPERATION_STATES, readListed, readOperations, selectItemOperations, selectOperations, type AskedOperation, type Listed, type Operation, type OperationDetail, type OperationReason, type Verdict } from './operations/index.ts';
export { askPatiently, slowDown } from './patience.ts';
export { addSeller, checkSeller, mustBe, openClaimed, openToken, pauseSeller, rejectToken, resumeSeller, rotateTokens, selectSeller, selectSellers, SELLER_STATUSES, unknownSeller, unreadableSecrets, webhookContext, type AccountDeps, type Rotated, type Seller, type SellerStatus } from './sellers/index.ts';
