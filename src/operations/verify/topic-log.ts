import type { InventoryChanged, PurchaseCancelled, PurchaseRequested } from '../../contract/index.ts';
import { createColumn, createNames, orNaN, orNull, type Names } from './columns.ts';
import type { Change } from './rules.ts';
import { createUuidIndex, type UuidIndex } from './uuid-index.ts';

/** Where a record stands. */
export interface Position {
  partition: number;
  offset: number;
}

/** Reasons for which a record is refused by its envelope or content alone, whatever came before it. */
export type EnvelopeReason = 'undecodable' | 'unknown_type' | 'invalid' | 'key_mismatch';

/** A record of the topic, decoded; what it means is not yet decided. */
export interface LoggedRecord extends Position {
  /** Kafka's record timestamp, milliseconds since 1970. */
  timestamp: number;
  content: { event: InventoryChanged } | { request: PurchaseRequested } | { cancel: PurchaseCancelled } | { refused: EnvelopeReason };
}

/** What a purchase wants, lines of the same item put together in the order in which items come first. */
export interface SaleRequest {
  buyer_id: string | null;
  currency: string;
  /** As sent. */
  lines: PurchaseRequested['lines'];
  wants: readonly { item: number; quantity: number }[];
}

/**
 * The topic as it was read, in typed arrays: about 100 bytes an event, so that a million of them fit in little more than
 * 100 MB; purchases, of which there are fewer, keep their lines as objects. An *occurrence* is one record that holds a usable event;
 * an *event* is one event id and has one or more of them. Occurrences of one partition are numbered in the order of the topic.
 *
 * `events` also numbers ids of ledger rows that are no event of the topic (further lines of a purchase, steps of a sale), once
 * somebody asks for them: those have no occurrence.
 */
export interface TopicLog {
  readonly events: UuidIndex;
  readonly users: UuidIndex;
  /** Keyed by user id and item id. */
  readonly items: UuidIndex;
  /** Purchases, keyed by user id and purchase id. */
  readonly sales: UuidIndex;
  readonly names: Names;
  readonly records: number;
  readonly occurrences: number;
  readonly refused: readonly (Position & { reason: EnvelopeReason })[];
  /** Partitions in which a user has usable events. */
  partitionsOf(user: number): ReadonlySet<number>;

  add(record: LoggedRecord): void;
  position(occurrence: number): Position;
  timestamp(occurrence: number): number;
  eventOf(occurrence: number): number;
  userOf(occurrence: number): number;
  typeOf(occurrence: number): 'change' | 'request' | 'cancel';
  /** Of a change; -1 for others. */
  itemOf(occurrence: number): number;
  /** Of a purchase or a cancellation; -1 for others. */
  saleOf(occurrence: number): number;
  /** Of a purchase. */
  requestOf(occurrence: number): SaleRequest;
  /** Occurrences that are no changes, in order. */
  readonly saleOccurrences: readonly number[];
  occurredAt(occurrence: number): number;
  /** The older of occurred_at and, for an event id of version 7, the time inside it. */
  age(occurrence: number): number;
  sourceOf(occurrence: number): string;
  change(occurrence: number): Change;
  /** First occurrence of an event, and the next one of the same event after an occurrence; -1 when there is none. */
  first(event: number): number;
  next(occurrence: number): number;
}

const KINDS = ['SET', 'ADJUST', 'REMOVE'] as const;
const [REQUEST, CANCEL] = [KINDS.length, KINDS.length + 1];

export function createTopicLog(): TopicLog {
  const events = createUuidIndex(1);
  const users = createUuidIndex(1);
  const items = createUuidIndex(2);
  const sales = createUuidIndex(2);
  const requests = new Map<number, SaleRequest>();
  const saleOccurrences: number[] = [];
  const saleOf = createColumn('int32', -1);
  const names = createNames();
  const refused: (Position & { reason: EnvelopeReason })[] = [];
  const partitions: Set<number>[] = [];
  let records = 0;
  let occurrences = 0;

  const first = createColumn('int32', -1);
  const last = createColumn('int32', -1);
  const following = createColumn('int32', -1);
  const [eventOf, userOf, itemOf, partition, quantity, currency, properties, source] = Array.from({ length: 8 }, () => createColumn('int32')) as Eight;
  const [offset, timestamp, occurredAt, age, price, blueprint, version] = Array.from({ length: 7 }, () => createColumn('float64')) as Seven;
  const kind = createColumn('uint8');

  const addChange = (at: number, event: InventoryChanged): void => {
    kind.set(at, KINDS.indexOf(event.kind));
    itemOf.set(at, items.add(event.user_id, event.item_id));
    quantity.set(at, event.quantity);
    price.set(at, orNaN(event.price_cents));
    currency.set(at, names.number(event.currency));
    blueprint.set(at, orNaN(event.blueprint_id));
    properties.set(at, names.number(event.properties === null ? null : sortedJson(event.properties)));
    version.set(at, orNaN(event.version));
    source.set(at, names.number(event.source));
  };
  const addSale = (at: number, userId: string, content: { request: PurchaseRequested } | { cancel: PurchaseCancelled }): void => {
    const isRequest = 'request' in content;
    kind.set(at, isRequest ? REQUEST : CANCEL);
    saleOf.set(at, sales.add(userId, isRequest ? content.request.purchase_id : content.cancel.purchase_id));
    saleOccurrences.push(at);
    if (!isRequest) return;
    const { buyer_id, currency: money, lines } = content.request;
    const wants = new Map<number, number>();
    for (const line of lines) {
      const item = items.add(userId, line.item_id);
      wants.set(item, (wants.get(item) ?? 0) + line.quantity);
    }
    requests.set(at, { buyer_id, currency: money, lines, wants: [...wants].map(([item, wanted]) => ({ item, quantity: wanted })) });
  };

  return {
    events,
    users,
    items,
    sales,
    names,
    refused,
    saleOccurrences,
    get records() {
      return records;
    },
    get occurrences() {
      return occurrences;
    },
    partitionsOf: (user) => partitions[user] ?? new Set(),

    add(record) {
      records += 1;
      if ('refused' in record.content) {
        refused.push({ partition: record.partition, offset: record.offset, reason: record.content.refused });
        return;
      }
      const event = eventIn(record.content);
      const at = occurrences;
      occurrences += 1;
      const id = events.add(event.event_id);
      const user = users.add(event.user_id);
      (partitions[user] ??= new Set()).add(record.partition);
      if (last.get(id) === -1) first.set(id, at);
      else following.set(last.get(id), at);
      last.set(id, at);
      eventOf.set(at, id);
      userOf.set(at, user);
      partition.set(at, record.partition);
      offset.set(at, record.offset);
      timestamp.set(at, record.timestamp);
      occurredAt.set(at, event.occurred_at);
      age.set(at, Math.min(event.occurred_at, timeInside(event.event_id)));
      if ('event' in record.content) addChange(at, record.content.event);
      else addSale(at, event.user_id, record.content);
    },

    position: (at) => ({ partition: partition.get(at), offset: offset.get(at) }),
    timestamp: timestamp.get,
    eventOf: eventOf.get,
    userOf: userOf.get,
    typeOf: (at) => (kind.get(at) === REQUEST ? 'request' : kind.get(at) === CANCEL ? 'cancel' : 'change'),
    itemOf: (at) => (kind.get(at) < REQUEST ? itemOf.get(at) : -1),
    saleOf: saleOf.get,
    requestOf(at) {
      const request = requests.get(at);
      if (request === undefined) throw new RangeError(`occurrence ${at} is no purchase`);
      return request;
    },
    occurredAt: occurredAt.get,
    age: age.get,
    sourceOf: (at) => names.name(source.get(at)) ?? '',
    first: first.get,
    next: following.get,
    change: (at) => ({
      kind: KINDS[kind.get(at)] ?? 'SET',
      quantity: quantity.get(at),
      price_cents: orNull(price.get(at)),
      currency: names.name(currency.get(at)),
      blueprint_id: orNull(blueprint.get(at)),
      properties: names.name(properties.get(at)),
      version: orNull(version.get(at)),
      source: names.name(source.get(at)),
    }),
  };
}

type One = ReturnType<typeof createColumn>;
type Seven = [One, One, One, One, One, One, One];
type Eight = [One, One, One, One, One, One, One, One];

function eventIn(content: Exclude<LoggedRecord['content'], { refused: unknown }>): { event_id: string; user_id: string; occurred_at: number } {
  if ('event' in content) return content.event;
  return 'request' in content ? content.request : content.cancel;
}

function timeInside(uuid: string): number {
  return uuid[14] === '7' ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : Number.POSITIVE_INFINITY;
}

/** One text for one meaning: PostgreSQL's jsonb and Avro's map keep keys in different orders. */
export function sortedJson(map: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1))));
}
