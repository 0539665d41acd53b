import type { OutgoingMessage, Producer } from './producer.ts';

/**
 * kafkajs has no linger: a `send` a record is a request a record. This gathers records while a batch is in flight and sends them
 * together as soon as it is acknowledged. Order of `add` is order of sending.
 */
export interface Batcher {
  /** Resolves once there is room for the record (at once, mostly), not once it is sent. Throws what sending threw. */
  add(message: OutgoingMessage): Promise<void>;
  /** Resolves when everything added is acknowledged. Throws what sending threw. */
  flush(): Promise<void>;
  /** Records acknowledged so far. */
  readonly acknowledged: number;
}

export interface BatcherLimits {
  /** Most records of one request. */
  batchMessages?: number;
  /** Most bytes of one request; brokers refuse record batches above 1 MB. */
  batchBytes?: number;
  /** Most records waiting; `add` waits at this bound. */
  bufferedMessages?: number;
}

/**
 * After a rejection the buffer is thrown away and every later `add` and `flush` throws the same error: sending what came after the
 * lost records would break their order. Start again with a new batcher, from the first record not acknowledged.
 */
export function createBatcher(producer: Pick<Producer, 'sendBatch'>, limits: BatcherLimits = {}): Batcher {
  const { batchMessages = 1_000, batchBytes = 800_000, bufferedMessages = 10_000 } = limits;
  let buffer: OutgoingMessage[] = [];
  let acknowledged = 0;
  let failure: { error: unknown } | undefined;
  let sending: Promise<void> | undefined;
  let room: PromiseWithResolvers<void> | undefined;

  const bytesOf = ({ key, value }: OutgoingMessage): number => (key?.length ?? 0) + (value?.length ?? 0) + 100;

  function takeBatch(): OutgoingMessage[] {
    let bytes = 0;
    let count = 0;
    for (const message of buffer) {
      bytes += bytesOf(message);
      if (count === batchMessages || (count > 0 && bytes > batchBytes)) break;
      count += 1;
    }
    const batch = buffer.slice(0, count);
    buffer = buffer.slice(count);
    return batch;
  }

  async function send(): Promise<void> {
    await Promise.resolve(); // let the caller add what it has at hand
    try {
      while (buffer.length > 0) {
        const batch = takeBatch();
        wake();
        await producer.sendBatch(batch);
        acknowledged += batch.length;
      }
    } catch (error) {
      failure = { error };
      buffer = [];
    } finally {
      sending = undefined;
      wake();
    }
  }

  function wake(): void {
    room?.resolve();
    room = undefined;
  }

  const rethrow = (): void => {
    if (failure !== undefined) throw failure.error;
  };

  return {
    async add(message) {
      rethrow();
      while (buffer.length >= bufferedMessages) {
        room ??= withResolvers();
        await room.promise;
        rethrow();
      }
      buffer.push(message);
      sending ??= send();
    },
    async flush() {
      while (sending !== undefined) await sending;
      rethrow();
    },
    get acknowledged() {
      return acknowledged;
    },
  };
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers(): PromiseWithResolvers<void> {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
