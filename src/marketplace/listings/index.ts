export { linkListings, type Linked, type LinkDeps } from './link.ts';
export { forgetMismatches, unlinkListing } from './mend.ts';
export { MISMATCHES, snapshotOf, withSoldLines, type Listing, type Mismatch, type MismatchKind, type Snapshot } from './listing.ts';
export { markGone, selectLinked, selectListing, selectListings, upsertListings, type ListingDetail, type ListingRow } from './listings.sql.ts';
