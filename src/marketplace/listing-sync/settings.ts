import { BrxError } from '../../errors.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres } from '../../platform/postgres/index.ts';
import { mustBe, selectSeller, type Seller } from '../sellers/index.ts';
import { askSyncOfAll, forgetSync, trustStock, updateSyncSettings } from './sync.sql.ts';

/** Left out: stays as it is. */
export interface SyncSettings {
  readonly listingSync?: boolean;
  /** Copies of each item that are kept from CardTrader. */
  readonly buffer?: number;
  /** Copies CardTrader lacks are put up even where they may have been sold there: an operator has looked. */
  readonly push?: boolean;
}

/**
 * Turns listing sync of a seller on or off, or changes the buffer; with it on, every item that may differ is looked at. Off by
 * default: an account that was there before keeps its listings as they are until somebody wants otherwise. `asked`: items to be looked at.
 */
export async function setListingSync(postgres: Postgres, userId: string, { listingSync, buffer, push = false }: SyncSettings, by: { who: string; reason: string }): Promise<{ seller: Seller; asked: number }> {
  if (buffer !== undefined && (!Number.isSafeInteger(buffer) || buffer < 0 || buffer > 1_000_000)) throw new BrxError('BRX_USAGE', `${buffer} is no number of copies`, { remedy: 'the buffer is a whole number from 0' });
  return inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const before = mustBe(await selectSeller(tx, userId), userId);
    await updateSyncSettings(tx, userId, { listingSync: listingSync ?? null, buffer: buffer ?? null });
    const on = listingSync ?? before.listingSync;
    const trusted = push ? await trustStock(tx, userId) : 0;
    if (!on) await forgetSync(tx, userId);
    const asked = on ? await askSyncOfAll(tx, userId) : 0;
    await recordOperatorAction(tx, { ...by, action: 'users.set', target: userId, detail: { from: { listingSync: before.listingSync, buffer: before.buffer }, to: { listingSync: on, buffer: buffer ?? before.buffer }, push, trusted, asked } });
    return { seller: mustBe(await selectSeller(tx, userId), userId), asked };
  });
}
