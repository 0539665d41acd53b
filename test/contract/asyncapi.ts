import { deadLetterTopic, LATEST, LIMITS, RECORDS, TOPICS, type RecordName, type Topic } from '../../src/contract/index.ts';

/** What other programs may do with a topic. Who writes it by themselves is `receive` for us, and the other way round (AsyncAPI 3 speaks from the application's side). */
const PUBLIC: readonly { readonly topic: Topic; readonly action: 'send' | 'receive'; readonly id: string; readonly summary: string }[] = [
  { topic: TOPICS.marketplaceEvents, action: 'receive', id: 'applyMarketplaceEvents', summary: 'Stock that changed, and purchases, in the order of their seller.' },
  { topic: TOPICS.purchaseOutcomes, action: 'send', id: 'tellPurchaseOutcomes', summary: 'How each purchase ended: one PurchaseSettled for each, at least once, with a stable event_id.' },
  { topic: TOPICS.inventoryLevels, action: 'send', id: 'tellInventoryLevels', summary: 'Stock the upstream did not change itself, above all sales on CardTrader.' },
  { topic: deadLetterTopic(TOPICS.marketplaceEvents), action: 'send', id: 'tellDeadLetters', summary: 'Records that could not be used: the original key, value and headers, with the reason in Spring’s kafka_dlt-* headers.' },
];

/** The contract as an AsyncAPI 3.0 document; payloads are the newest Avro schemas as they stand. */
export function asyncapi(version: string): object {
  const records = [...new Set(PUBLIC.flatMap(({ topic }) => topic.records))];
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'BRX Sync',
      version,
      description: 'Keeps card sellers’ stock in step between their own marketplace and CardTrader. Rules, examples and what comes of each event: docs/producers.md. Environments may put a prefix before all topic names.',
    },
    defaultContentType: 'application/vnd.apache.avro+binary',
    servers: { kafka: { host: '{broker}', protocol: 'kafka', description: 'Records are in Confluent’s wire format; subjects are full record names (RecordNameStrategy, BACKWARD_TRANSITIVE).', variables: { broker: { default: '127.0.0.1:19092', description: 'A broker of the environment.' } } } },
    channels: Object.fromEntries(PUBLIC.map(({ topic, summary }) => [topic.name, { address: topic.name, description: summary, messages: Object.fromEntries(topic.records.map((name) => [name, { $ref: `#/components/messages/${name}` }])), bindings: { kafka: { topic: topic.name, partitions: topic.partitions, topicConfiguration: { 'cleanup.policy': [topic.cleanupPolicy], 'retention.ms': topic.retentionMs } } } }])),
    operations: Object.fromEntries(PUBLIC.map(({ topic, action, id, summary }) => [id, { action, summary, channel: { $ref: `#/channels/${pointer(topic.name)}` }, messages: topic.records.map((name) => ({ $ref: `#/channels/${pointer(topic.name)}/messages/${name}` })) }])),
    components: { messages: Object.fromEntries(records.map((name) => [name, message(name)])) },
  };
}

function message(name: RecordName): object {
  const { avro, version } = LATEST[name];
  return {
    name: RECORDS[name].fullName,
    title: name,
    summary: avro.doc,
    description: `Schema version ${version}. Ids are UUIDs in lower case, times milliseconds since 1970.`,
    contentType: 'application/vnd.apache.avro+binary',
    headers: {
      type: 'object',
      properties: {
        'brx-event-id': { type: 'string', format: 'uuid', description: 'The event_id.' },
        traceparent: { type: 'string', description: 'W3C Trace Context, level 1, if there is one. Of a PurchaseRequested it is sent on with everything the sale publishes; one that is malformed counts as none.' },
      },
    },
    bindings: { kafka: { key: { type: 'string', format: 'uuid', description: 'The user_id: it decides the order. Partitioner: murmur2, as in every Java client.' }, schemaIdLocation: 'payload', schemaIdPayloadEncoding: 'confluent' } },
    payload: { schemaFormat: 'application/vnd.apache.avro;version=1.9.0', schema: avro },
    ...(name === 'PurchaseRequested' && { 'x-limits': { lines: LIMITS.purchaseLines } }),
  };
}

const pointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
