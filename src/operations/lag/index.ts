export { openLagReader, readMembers, readOffsets, type LagOptions, type LagReader } from './read.ts';
export { totalOf, type LagReport, type Member, type PartitionLag, type Trend } from './report.ts';
