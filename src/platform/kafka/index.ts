export { partitionsOf } from './assignment.ts';
export { createBatcher, type Batcher, type BatcherLimits } from './batcher.ts';
export { avroMisfits, createCodec, encode, MAGIC_BYTE, readerOf, WIRE_HEADER_BYTES, type Codec, type Reader } from './codec.ts';
export { COMMAND_RETRIES, createKafka, kafkaUnavailable, SERVICE_RETRIES } from './kafka.ts';
export { createProducer, murmur2Partitioner, type OutgoingMessage, type Producer } from './producer.ts';
export { createRegistry, SUBJECT_COMPATIBILITY, type Registry, type SubjectVersion, type WriterSchema } from './registry.ts';
export { patchKafkajsTimerLoop } from './timer-patch.ts';
export { openTopicAdmin, type TopicAdmin, type TopicSpec, type TopicState } from './topic-admin.ts';

/** The client's own types, for those who are handed one. */
export type { Admin, Kafka } from 'kafkajs';
