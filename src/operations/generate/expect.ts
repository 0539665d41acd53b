import { validateInventoryChanged } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { createTopicLog, settle, type Counts, type LoggedRecord } from '../verify/index.ts';
import type { GeneratedRecord } from './events.ts';
import type { WorkloadOptions } from './options.ts';

/** What an item must be in the end; columns of inventory_items. */
export interface ExpectedStock {
  user_id: string;
  item_id: string;
  on_hand: number;
  version: number | null;
  flags: number;
  price_cents: number | null;
  currency: string | null;
  blueprint_id: number | null;
  properties: Record<string, string> | null;
}

export interface Expectation {
  counts: Omit<Counts, 'parked' | 'pending'>;
  /** How many records were generated with which intent. */
  intents: Readonly<Record<string, number>>;
  items(): Iterable<ExpectedStock>;
}

/**
 * What must come of a workload, worked out beside it by the oracle of `verify`. It holds while the workload is all there is, and
 * while it is processed before its oldest ordinary event reaches the horizon. Not of a workload with purchases: what comes of those
 * depends on when the sagas before them ended, which `verify` reads from the database. Throws BRX_USAGE then.
 */
export function createExpectation(options: Pick<WorkloadOptions, 'horizonMs' | 'at'>): { add(record: GeneratedRecord): void; settle(): Expectation } {
  const log = createTopicLog();
  const intents: Record<string, number> = {};
  return {
    add(record) {
      intents[record.intent] = (intents[record.intent] ?? 0) + 1;
      // A user's records share a partition, so one log in the order of sending keeps every order that matters.
      log.add({ partition: 0, offset: log.records, timestamp: record.timestamp, content: contentOf(record) });
    },
    settle() {
      const verdict = settle(log, { horizonMs: options.horizonMs, now: options.at });
      const { parked: _parked, pending: _pending, ...counts } = verdict.counts;
      return {
        counts,
        intents,
        *items() {
          for (let item = 0; item < log.items.size; item += 1) {
            const state = verdict.item(item);
            if (state === undefined) continue;
            yield {
              user_id: log.items.text(item, 0),
              item_id: log.items.text(item, 1),
              on_hand: state.on_hand,
              version: state.version,
              flags: (state.removed ? 1 : 0) | (state.drifted ? 2 : 0),
              price_cents: state.price_cents,
              currency: state.currency,
              blueprint_id: state.blueprint_id,
              properties: state.properties === null ? null : (JSON.parse(state.properties) as Record<string, string>),
            };
          }
        },
      };
    },
  };
}

/** What a reader will make of it, by the rules of the wire and not by what its generator meant. */
function contentOf({ key, body }: GeneratedRecord): LoggedRecord['content'] {
  if ('raw' in body) return { refused: body.raw === null || body.raw.length < 5 || body.raw[0] !== 0 ? 'undecodable' : 'unknown_type' };
  if (body.record === 'PurchaseRequested' || body.record === 'PurchaseCancelled') {
    throw new BrxError('BRX_USAGE', 'what must come of purchases cannot be said beforehand: it depends on when the sales before them end', { remedy: 'leave --expect out, and run `brx-sync verify --settled --wait 60` afterwards' });
  }
  if (body.record !== 'InventoryChanged') return { refused: 'unknown_type' };
  if (body.cut !== undefined) return { refused: 'undecodable' };
  const checked = validateInventoryChanged(body.value);
  if (!checked.ok) return { refused: 'invalid' };
  return checked.event.user_id === key ? { event: checked.event } : { refused: 'key_mismatch' };
}

/** The expectation as one JSON document, a line an item, for a file that may be large. */
export function* expectationText(options: WorkloadOptions, expectation: Expectation): Generator<string> {
  yield `{"workload":${JSON.stringify(options)},\n"counts":${JSON.stringify(expectation.counts)},\n"intents":${JSON.stringify(expectation.intents)},\n"items":[`;
  let separator = '\n';
  for (const item of expectation.items()) {
    yield separator + JSON.stringify(item);
    separator = ',\n';
  }
  yield '\n]}\n';
}
