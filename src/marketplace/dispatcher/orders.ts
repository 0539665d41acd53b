import { Together } from '../../platform/together.ts';
import type { Applied, CardTraderClient, Caller, List, Outcome, RemoteOrder } from '../client/index.ts';
import { timeOf } from './remote-sales.ts';

const PAGE_SIZE = 20;
const LARGE_PAGE_SIZE = 100;
/** 20 + 9 × 100 orders: whoever sells more than that between two looks is told by the number of pages. */
const PAGES = 10;

type Orders = Outcome<List<RemoteOrder>>;

/**
 * The newest orders of one seller. Whoever asks while another look is under way shares the next one, which begins after all of them
 * have asked: a look that began earlier might have missed what they ask about.
 */
export function ordersOf(client: Pick<CardTraderClient, 'orders'>, caller: () => Caller, read: (ask: () => Promise<Orders>) => Promise<Orders>): (since: number) => Promise<Orders> {
  const together = new Together<number, Orders>(async (asked) => {
    const answer = await newest(client, caller, read, Math.min(...asked));
    return asked.map(() => answer);
  });
  return (since) => together.do(since);
}

/** Pages until one reaches back to `since` (CardTrader's clock, ms). */
async function newest(client: Pick<CardTraderClient, 'orders'>, caller: () => Caller, read: (ask: () => Promise<Orders>) => Promise<Orders>, since: number): Promise<Orders> {
  const items: RemoteOrder[] = [];
  const unread: List<RemoteOrder>['unread'][number][] = [];
  let last: Applied<List<RemoteOrder>> | undefined;
  for (let page = 1; page <= PAGES; page += 1) {
    // The small first page answers nearly every question; the next are numbered by the larger size, and so begin with it again.
    const [limit, number] = page === 1 ? [PAGE_SIZE, 1] : [LARGE_PAGE_SIZE, page - 1];
    const answer = await read(() => client.orders(caller(), { sort: 'id.desc', limit, page: number }));
    if (answer.outcome !== 'applied') return answer;
    last = answer;
    items.push(...answer.body.items.filter(({ id }) => !items.some((known) => known.id === id)));
    unread.push(...answer.body.unread);
    const oldest = answer.body.items.at(-1);
    if (answer.body.items.length + answer.body.unread.length < limit) break;
    if (oldest !== undefined && (timeOf(oldest) ?? since) < since) break;
  }
  if (last === undefined) throw new Error('not one page was read');
  return { ...last, body: { items, unread } };
}
