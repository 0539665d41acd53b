import { randomUUID } from 'node:crypto';
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { Kafka, Partitioners } from 'kafkajs';

/** Tells BRX Sync that `quantity` of an item are in stock now. */
export async function publishStock(
  at: { brokers: string[]; registryUrl: string; topic: string },
  stock: { userId: string; itemId: string; quantity: number; version: number },
): Promise<string> {
  const registry = new SchemaRegistry({ host: at.registryUrl });
  const producer = new Kafka({ clientId: 'my-shop', brokers: at.brokers }).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner, // murmur2, as in every Java client
  });

  const event = {
    event_id: randomUUID(), // keep it when you send again: the same id has no second effect
    user_id: stock.userId.toLowerCase(),
    item_id: stock.itemId.toLowerCase(),
    kind: 'SET',
    quantity: stock.quantity,
    price_cents: 1_299,
    currency: 'EUR',
    blueprint_id: null, // null: says nothing, the item keeps what it had
    properties: { condition: 'Near Mint', language: 'en' },
    version: stock.version, // your own counter per item: an older one is ignored
    source: 'my-shop',
    occurred_at: Date.now(),
  };

  const schemaId = await registry.getLatestSchemaId('brx.marketplace.InventoryChanged');
  const value = await registry.encode(schemaId, event);
  await producer.connect();
  await producer.send({ topic: at.topic, acks: -1, messages: [{ key: event.user_id, value, headers: { 'brx-event-id': event.event_id } }] });
  await producer.disconnect();
  return event.event_id;
}
