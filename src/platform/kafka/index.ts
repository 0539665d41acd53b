export { partitionsOf } from './assignment.ts';
export { createBatcher, type Batcher, type BatcherLimits } from './batcher.ts';
export { describeCluster, type Cluster, type Settings } from './cluster.ts';
export { createEncoder, type Encoder } from './encoder.ts';
export { avroMisfits, createCodec, encode, MAGIC_BYTE, readerOf, WIRE_HEADER_BYTES, type Codec, type Reader } from './codec.ts';
export { askWhileMoving, COMMAND_RETRIES, createKafka, kafkaUnavailable, SERVICE_RETRIES, withAdmin } from './kafka.ts';
export { createProducer, isRefusedByKafka, murmur2Partitioner, type OutgoingMessage, type Producer } from './producer.ts';
export { createRegistry, SUBJECT_COMPATIBILITY, type Registry, type SubjectVersion, type WriterSchema } from './registry.ts';
export { restoreHeaders, storeHeaders, type StorableHeaders, type StoredHeader } from './stored-headers.ts';
export { patchKafkajsTimerLoop } from './timer-patch.ts';
export { leadersLead, openTopicAdmin, type TopicAdmin, type TopicSpec, type TopicState } from './topic-admin.ts';

/** The client's own types, for those who are handed one. */
export type { Admin, Kafka } from 'kafkajs';
