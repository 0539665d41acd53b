/** Replays the whole topic with an oracle of its own and compares PostgreSQL with the result. */
export { TOLERANCE_MS } from './choose.ts';
export type { Difference } from './differences.ts';
export { NO_EVIDENCE, type Evidence, type SaleStep } from './evidence.ts';
export type { RawRecord } from './decode.ts';
export { settle } from './oracle.ts';
export { committedOffsets, endOffsets, readTopic, requireTopic, type Offsets, type TopicReader } from './topic.ts';
export { createTopicLog, type EnvelopeReason, type LoggedRecord, type TopicLog } from './topic-log.ts';
export type { Counts, DeadLetterReason, ExpectedItem, ExpectedRow, ExpectedSale, ExpectedSaleRow, OracleOptions, Verdict } from './verdict.ts';
export { verify, type VerifyOptions, type VerifyProgress, type VerifyReport } from './verify.ts';
export { businessHash, inSnapshot } from './verify.sql.ts';
