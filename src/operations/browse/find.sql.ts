import type { Database } from '../../platform/postgres/index.ts';

export interface FoundItem {
  readonly user_id: string;
  readonly item_id: string;
}

const MOST = 20;

/** The items an event was about, by its id. */
export async function selectItemsOfEvent(database: Database, eventId: string): Promise<FoundItem[]> {
  return database.$queryRawUnsafe(`SELECT DISTINCT user_id, item_id FROM stock_ledger WHERE event_id = $1::uuid ORDER BY user_id, item_id LIMIT ${MOST}`, eventId);
}

/** Items of this id, whoever's: items are kept by user, so this reads all of them. For a person who has nothing but the id. */
export async function selectItemsOfId(database: Database, itemId: string): Promise<FoundItem[]> {
  return database.$queryRawUnsafe(`SELECT user_id, item_id FROM inventory_items WHERE item_id = $1::uuid ORDER BY user_id LIMIT ${MOST}`, itemId);
}
