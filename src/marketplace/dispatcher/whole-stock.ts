import { Together } from '../../platform/together.ts';
import type { Clock } from '../../platform/clock.ts';
import type { CardTraderClient, Caller, Outcome, RemoteProduct } from '../client/index.ts';
import type { WholeStock } from './desk.ts';

/** An export is used for so long, as long as nothing newer is known. Sales since it began are found in the orders. */
const KEPT_MS = 10_000;

/**
 * Exports of the whole stock of one seller, one at a time: whoever asks while one is under way shares the next one. What another
 * batch has learned from it a moment ago is used again.
 */
export function wholeStockOf(client: Pick<CardTraderClient, 'exportProducts'>, clock: Clock, caller: () => Caller, read: <T>(ask: () => Promise<Outcome<T>>) => Promise<Outcome<T>>): (since: number) => Promise<Outcome<WholeStock>> {
  let last: { at: number; outcome: Outcome<WholeStock> & { outcome: 'applied' } } | undefined;
  const together = new Together<number, Outcome<WholeStock>>(async (asked) => {
    const since = Math.max(...asked);
    if (last !== undefined && clock.monotonic() - last.at < KEPT_MS && last.outcome.body.readAt > since) return asked.map(() => last?.outcome as Outcome<WholeStock>);
    const at = clock.monotonic();
    const answer = await read(() => client.exportProducts(caller()));
    if (answer.outcome !== 'applied') return asked.map(() => answer);
    const { body, ...facts } = answer;
    const ofBlueprint = new Map<number, RemoteProduct[]>();
    for (const product of body.items) ofBlueprint.set(product.blueprintId, [...(ofBlueprint.get(product.blueprintId) ?? []), product]);
    const readAt = (answer.serverDate ?? clock.now()) - answer.durationMs;
    const outcome = { ...facts, body: { readAt, products: new Map(body.items.map((product) => [product.id, product])), ofBlueprint, whole: body.unread.length === 0 } };
    last = { at, outcome };
    return asked.map(() => outcome);
  });
  return (since) => together.do(since);
}
