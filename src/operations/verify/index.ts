/** Replays the whole topic with an oracle of its own and compares PostgreSQL with the result. */
export { settle, TOLERANCE_MS, type Counts, type DeadLetterReason, type Evidence, type ExpectedItem, type ExpectedRow, type OracleOptions, type Verdict } from './oracle.ts';
export { createTopicLog, type EnvelopeReason, type LoggedRecord, type TopicLog } from './topic-log.ts';
export type { Difference } from './differences.ts';
export { verify, type VerifyOptions, type VerifyProgress, type VerifyReport } from './verify.ts';
export { businessHash } from './verify.sql.ts';
