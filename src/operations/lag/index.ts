export { openLagReader, type LagReader } from './read.ts';
export type { LagReport, Member, PartitionLag, Trend } from './report.ts';
