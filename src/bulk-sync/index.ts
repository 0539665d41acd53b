/** Bulk sync: a seller's whole stock on CardTrader compared with what is here, imported from there, or pushed to it; and what differs, found every night. */
export { countFindings, selectFindings, selectParkedChunks, type ParkedChunk } from './chunks.sql.ts';
export { selectDrift, type DriftRow } from './drift.sql.ts';
export { applyFixes, fixOf, FIXES, type Fix, type Fixed } from './fix.ts';
export { CAUSES, JOB_STATES, MODE_NAMES, MODES, PROBLEMS, REMEDIES, WAITS, type Cause, type Finding, type Mode, type Problem, type WaitsFor } from './job.ts';
export { selectJobs, selectNewestJobs, type JobRow } from './jobs.sql.ts';
export { bulkSyncMetrics, snapshotMetrics, watchBulkSync } from './metrics.ts';
export { cancelSync, requestSync } from './request.ts';
export { createBulkSync, createSnapshots } from './role.ts';
