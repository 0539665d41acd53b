import type { PurchaseRequested } from '../../src/contract/index.ts';
import type { Random } from '../../src/platform/random.ts';
import { FAULT_KINDS, type FaultPlan } from '../../src/simulator/index.ts';
import { line, purchase } from './events.ts';
import type { ListedItem, ListedSeller } from './marketplace-world.ts';
import type { OrdersWorld } from './orders-world.ts';
import { stockOf } from './sales.ts';
import type { SyncWorld } from './sync-world.ts';

/** What was done to a seller's stock, by a model that knows nothing else. */
export interface Done {
  readonly seller: ListedSeller;
  /** By item: what the upstream added by ADJUST. */
  readonly added: Map<string, number>;
  readonly sales: PurchaseRequested[];
}

export interface Acts {
  readonly items: number;
  /** Of each item, to begin with. */
  readonly copies: number;
  readonly steps: number;
  /** Orders are called off there, too. */
  readonly cancellations: boolean;
  /** Once the seller is there. */
  readonly begin?: (seller: ListedSeller) => void;
  /** What else may happen. */
  readonly more?: readonly ((seller: ListedSeller) => Promise<void> | void)[];
}

const TERMINAL = ['CONFIRMED', 'REJECTED', 'COMPENSATED'];

/** Calls to CardTrader that go wrong in every way but those after which a person must act. */
export const CALLS_GO_WRONG: FaultPlan = Object.fromEntries(FAULT_KINDS.filter((kind) => !['token_revoked', 'token_regenerated', 'product_vanishes'].includes(kind)).map((kind) => [kind, { chance: 0.01, delayMs: kind === 'applied_late' ? 500 : 1_300 }]));

/** Sellers whose stock is changed from all sides, and what tells whether both sides came out of it alike. */
export function inStep(world: OrdersWorld, sync: SyncWorld) {
  return {
    /**
     * Random things, one after the other, each either at once or after what is outstanding has settled. Whether cancelled copies are on sale again can only be
     * told where nothing else happened to the product meanwhile (src/orders, "On sale again?"): else it waits for a person.
     */
    async actAtRandom(random: Random, { items, copies, steps, cancellations, begin = () => undefined, more = [] }: Acts): Promise<Done> {
      const seller = await sync.seller(...Array.from({ length: items }, () => copies));
      // CardTrader's clock has whole seconds: a sale in the second in which the account was taken on would count as one from before.
      await world.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      begin(seller);
      const done: Done = { seller, added: new Map(seller.items.map(({ itemId }) => [itemId, 0])), sales: [] };
      const orders: { readonly id: number; readonly line: number }[] = [];
      const pick = (): ListedItem => seller.items[random.below(items)]!;
      const add = async (item: ListedItem, quantity: number, said = {}): Promise<void> => {
        done.added.set(item.itemId, (done.added.get(item.itemId) ?? 0) + quantity);
        await sync.says(item, { kind: 'ADJUST', quantity, ...said });
      };
      const actions: readonly (() => Promise<void> | void)[] = [
        () => add(pick(), 1 + random.below(3)),
        () => add(pick(), 0, { price_cents: 100 + random.below(900), currency: 'EUR' }),
        async () => {
          const sale = purchase({ user_id: seller.user, lines: [line(pick().itemId, 1 + random.below(2))] });
          done.sales.push(sale);
          await world.send(sale);
        },
        () => {
          const item = pick();
          const quantity = 1 + random.below(2);
          if ((item.now()?.quantity ?? 0) < quantity) return;
          const id = world.sell(item, quantity);
          orders.push({ id, line: world.simulator.control.order(id)!.lines[0]!.id });
        },
        () => {
          if (!cancellations || orders.length === 0 || !random.chance(0.5)) return;
          const [order] = orders.splice(random.below(orders.length), 1);
          world.simulator.control.cancelLine(order!.id, order!.line, { relist: true });
        },
        () => world.settled(),
        ...more.map((act) => () => act(seller)),
      ];
      for (let step = 0; step < steps; step += 1) await actions[random.below(actions.length)]!();
      return done;
    },

    /** Resolves once nothing is outstanding anywhere: sales have ended, orders are read, events are applied, operations settled. */
    async quiet({ seller, sales }: Done): Promise<void> {
      await world.reached([...TERMINAL, 'NEEDS_OPERATOR'], ...sales);
      await sync.quiet();
      await world.polled(seller);
      await sync.quiet();
    },

    /** An operator is told of the item: a mismatch, an operation or a cancellation nobody can tell, what CardTrader said. */
    seen: async ({ user, itemId }: ListedItem): Promise<boolean> => (await world.rows("SELECT FROM marketplace_listings WHERE user_id = $1 AND item_id = $2 AND mismatch IS NOT NULL UNION ALL SELECT FROM marketplace_operations WHERE user_id = $1 AND item_id = $2 AND state = 'NEEDS_OPERATOR' UNION ALL SELECT FROM marketplace_problems WHERE user_id = $1 AND item_id = $2 UNION ALL SELECT FROM remote_order_lines WHERE user_id = $1 AND item_id = $2 AND cancelled > relisted + kept", user, itemId)).length > 0,

    async sides(item: ListedItem): Promise<{ here: number; there: number }> {
      const { on_hand: onHand, held } = (await stockOf(world, item.user, item.itemId))!;
      return { here: onHand - held, there: item.now()?.quantity ?? 0 };
    },

    /** What is here if nothing is lost and nothing counted twice: what was there, came, and was sold on neither side. */
    async left(item: ListedItem, copies: number, { added }: Done): Promise<number> {
      const [sold] = await world.rows<{ sold: number }>(
        "SELECT coalesce(sum(l.quantity), 0)::int AS sold FROM purchase_sagas AS s CROSS JOIN LATERAL jsonb_to_recordset(s.lines) AS l (item_id uuid, quantity int) WHERE s.user_id = $1 AND s.state = 'CONFIRMED' AND l.item_id = $2",
        item.user,
        item.itemId,
      );
      const soldThere = world.simulator.control
        .orders(item.sellerId)
        .flatMap((order) => order.lines)
        .filter(({ product }) => product.id === item.productId)
        .reduce((sum, { quantity }) => sum + quantity, 0);
      return copies + (added.get(item.itemId) ?? 0) - sold!.sold - soldThere;
    },
  };
}
