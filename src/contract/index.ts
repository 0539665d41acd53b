export type { AvroField, AvroRecord, AvroType } from './avro.ts';
export { LATEST } from './avro.generated.ts';
export { charCode } from './char-code.ts';
export { CARDTRADER_SOURCE, isInventoryChanged, validateInventoryChanged, type Validated } from './inventory-changed.ts';
export { LANES, laneOf, murmur2, murmur2OfBytes, partitionOf } from './lanes.ts';
export * from './records.ts';
export { explain, EARLIEST_MS, EXACT_LONG_MAX, isCurrency, isStorable, LATEST_MS, LIMITS, RULES, type Rule } from './rules.ts';
export { PURCHASE_REASONS, type PurchaseReason } from './purchase-reasons.ts';
export { ALL_TOPICS, deadLetterTopic, TOPICS, topicName, type Topic, type TopicKey } from './topics.ts';
