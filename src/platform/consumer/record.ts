/** Where a record stands in Kafka. Offsets are 64-bit: decimal text as Kafka's client gives them, BigInt to reckon with, never a number. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** Headers as the client gives them: a name may come several times, and Kafka allows a header without a value (null). */
export type RecordHeaders = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>;
export type HeaderValue = Buffer | string | null;

/** A record as Kafka has it: what a dead letter or a parked event must keep unchanged. */
export interface SourceRecord extends Position {
  /** Milliseconds since 1970, as the broker or the producer stamped it. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}
