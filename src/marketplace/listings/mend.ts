import { BrxError } from '../../errors.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres } from '../../platform/postgres/index.ts';
import type { MismatchKind } from './listing.ts';
import { clearMismatches, deleteListing } from './listings.sql.ts';

/** What operators do to listings by hand, each written down with who and why. */
interface By {
  readonly who: string;
  readonly reason: string;
}

/** Forgets that an item is listed: from then on its sales need no step on CardTrader. Refused while an operation of it is not settled. */
export async function unlinkListing(postgres: Postgres, userId: string, itemId: string, by: By): Promise<void> {
  await inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    if ((await deleteListing(tx, userId, itemId)) === 0) {
      throw new BrxError('BRX_REFUSED', `item ${itemId} of ${userId} has no listing, or one with operations that are not settled`, { remedy: '`brx-sync listings show` tells which' });
    }
    await recordOperatorAction(tx, { ...by, action: 'listings.unlink', target: `${userId}/${itemId}`, detail: {} });
  });
}

/** Says that somebody has looked at mismatches: of one item, or of all of a seller, perhaps of one kind only. Nothing changes on CardTrader. Answers whose were taken away. */
export async function forgetMismatches(postgres: Postgres, userId: string, { itemId, kind }: { itemId?: string; kind?: MismatchKind }, by: By): Promise<string[]> {
  return inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const cleared = await clearMismatches(tx, userId, itemId, kind);
    for (const { itemId: id, mismatch } of cleared) await recordOperatorAction(tx, { ...by, action: 'listings.clear_mismatch', target: `${userId}/${id}`, detail: mismatch });
    return cleared.map((row) => row.itemId);
  });
}
