import { BrxError, messageOf } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { askWhileMoving, kafkaUnavailable, withAdmin, type Admin, type Codec, type Kafka } from '../../platform/kafka/index.ts';
import { schemaId, type RawRecord } from './decode.ts';

/** Per partition. */
export type Offsets = ReadonlyMap<number, number>;

export interface TopicReader {
  kafka: Kafka;
  codec: Codec;
  clock: Clock;
  topic: string;
  /** Of the group that is verified; ours is named after it. */
  groupId: string;
  signal?: AbortSignal;
}

/** Nothing new for so long means that the records up to the end offset will not come any more. */
const STALLED_MS = 30_000;

/** Throws BRX_REFUSED when there is no such topic: asked about its offsets, Kafka would only say that something failed. */
export async function requireTopic(admin: Admin, topic: string): Promise<void> {
  if (!(await topicExists(admin, topic))) throw new BrxError('BRX_REFUSED', `topic ${topic} does not exist`, { remedy: 'run `brx-sync topics apply`, or set BRX_TOPIC_PREFIX' });
}

export const topicExists = async (admin: Admin, topic: string): Promise<boolean> => (await admin.listTopics()).includes(topic);

/** Where each partition ends now. Throws BRX_REFUSED when its beginning is gone: what stood there cannot be worked out. */
export async function endOffsets(admin: Admin, topic: string): Promise<Offsets> {
  const offsets = await askWhileMoving(() => admin.fetchTopicOffsets(topic));
  const eaten = offsets.filter(({ low }) => Number(low) > 0);
  if (eaten.length > 0) {
    throw new BrxError('BRX_REFUSED', `retention has removed the beginning of ${topic} (${eaten.map(({ partition, low }) => `partition ${partition} begins at ${low}`).join(', ')}): what the database must hold cannot be worked out from the rest`, {
      remedy: 'verify where the whole topic is there: a test or staging system, or a topic younger than its retention; for single items use brx-sync item USER ITEM',
    });
  }
  return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
}

/** Where each partition begins and ends now, whatever retention has removed. */
export async function topicSpan(admin: Admin, topic: string): Promise<{ starts: Offsets; ends: Offsets }> {
  const offsets = await askWhileMoving(() => admin.fetchTopicOffsets(topic));
  return { starts: new Map(offsets.map(({ partition, low }) => [partition, Number(low)])), ends: new Map(offsets.map(({ partition, high }) => [partition, Number(high)])) };
}

/** The group's committed offsets; partitions without one are left out. */
export async function committedOffsets(admin: Admin, topic: string, groupId: string): Promise<Offsets> {
  const [group] = await askWhileMoving(() => admin.fetchOffsets({ groupId, topics: [topic] }));
  return new Map((group?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0).map(({ partition, offset }) => [partition, Number(offset)]));
}

/**
 * Hands over every record before `ends`, in order inside each partition, its schema known to the codec, through a group of its own that leaves no trace.
 * `starts`: where to begin, else with the oldest record; it must be there. A handler that answers a promise is waited for.
 */
export async function readTopic(reader: TopicReader, ends: Offsets, onRecord: (record: RawRecord) => void | Promise<void>, starts: Offsets = new Map()): Promise<void> {
  const { kafka, clock, topic } = reader;
  const remaining = new Map([...ends].filter(([partition, end]) => end > (starts.get(partition) ?? 0)));
  if (remaining.size === 0) return;
  // The first fetch may be under way before it is told where to begin; what it brings comes again.
  const next = new Map(starts);
  const groupId = `${reader.groupId}-verify-${Math.floor(clock.random() * 2 ** 40).toString(36)}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 250, maxBytesPerPartition: 2_097_152, allowAutoTopicCreation: false, retry: { restartOnFailure: () => Promise.resolve(false) } });
  const finished = new AbortController();
  let failure: unknown;
  let movedAt = clock.monotonic();
  const fail = (error: unknown): void => {
    failure ??= error;
    finished.abort();
  };
  // Also told of batches that hold nothing but transaction markers, which the handler never sees.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    movedAt = clock.monotonic();
    if (Number(payload.lastOffset) + 1 >= (remaining.get(payload.partition) ?? 0)) remaining.delete(payload.partition);
    if (remaining.size === 0) finished.abort();
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => fail(kafkaUnavailable(payload.error, `read ${topic}`)));

  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      // Nothing may be thrown at kafkajs: it would try the batch again, and a TypeError would end it silently.
      eachBatch: async (payload) => {
        const { batch } = payload;
        const end = remaining.get(batch.partition) ?? 0;
        try {
          for (const { value } of batch.messages) {
            const id = schemaId(value);
            if (id !== undefined) await prepared(reader.codec, id);
          }
          for (const message of batch.messages) {
            if (finished.signal.aborted || Number(message.offset) >= end) break;
            const offset = Number(message.offset);
            if (offset < (next.get(batch.partition) ?? 0)) continue;
            next.set(batch.partition, offset + 1);
            await onRecord({ partition: batch.partition, offset, timestamp: Number(message.timestamp), key: message.key, value: message.value });
          }
        } catch (error) {
          fail(error);
        }
        await payload.heartbeat();
      },
    });
    for (const [partition, offset] of starts) consumer.seek({ topic, partition, offset: String(offset) });
    const nothing = [...ends.keys()].filter((partition) => !remaining.has(partition));
    if (starts.size > 0 && nothing.length > 0) consumer.pause([{ topic, partitions: nothing }]);
    while (!finished.signal.aborted) {
      if (reader.signal?.aborted === true) throw reader.signal.reason as Error;
      await clock.sleep(500, finished.signal).catch(() => undefined); // woken: finished or failed
      if (clock.monotonic() - movedAt > STALLED_MS) {
        throw new BrxError('BRX_KAFKA_UNAVAILABLE', `nothing came from ${topic} for ${STALLED_MS / 1_000} s, with partitions ${[...remaining.keys()].join(', ')} not read to their end`, { remedy: 'see that every partition has a leader (brx-sync lag)' });
      }
    }
    if (failure !== undefined) throw failure as Error;
  } catch (error) {
    throw kafkaUnavailable(error, `read ${topic}`);
  } finally {
    await consumer.disconnect();
    await withAdmin(kafka, (admin) => admin.deleteGroups([groupId])).catch((error: unknown) => messageOf(error)); // an empty group without offsets; the broker removes it by itself
  }
}

/** Without waiting when the id is known: most are. */
async function prepared(codec: Codec, id: number): Promise<void> {
  if (codec.reader(id) === undefined) await codec.prepare(id);
}
