/**
 * What CardTrader counts requests by (cardtrader.md section 2). Every request counts in `all`; a marketplace search and a job's status
 * count in their own bucket too.
 */
export const BUCKETS = ['all', 'search', 'jobs'] as const;
export type Bucket = (typeof BUCKETS)[number];
