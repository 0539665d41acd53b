import { BrxError } from '../../errors.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres, type Transaction } from '../../platform/postgres/index.ts';
import type { Keyring, Sealed } from '../../platform/secrets/index.ts';
import { cleanToken, inspectToken, maskToken, TOKEN_PROBLEMS, type CardTraderClient, type Outcome, type RemoteApp } from '../client/index.ts';
import { markChecked, resealSecret, selectHolder, selectSecrets, selectSeller, selectToken, updateStatus, upsertSeller, type SecretName } from './sellers.sql.ts';
import type { Seller, SellerStatus } from './seller.ts';
import { tokenContext, webhookContext } from './token-context.ts';

export interface AccountDeps {
  readonly postgres: Postgres;
  readonly keyring: Keyring;
  readonly client: Pick<CardTraderClient, 'info'>;
}

/** Who does it, and why; goes into the record of operators' actions. */
export interface By {
  readonly who: string;
  readonly reason: string;
}

const accountWords = ({ id, name, sellerId }: RemoteApp): string => [sellerId !== null && `seller ${sellerId}`, `app ${name === null ? (id ?? 'without a name') : `“${name}”`}`].filter((part) => part !== false).join(', ');

/** CardTrader's own wording for accounts whose stock it holds itself (cardtrader.md section 1). */
const ONE_DAY_READY = /1-day ready/i;

/**
 * Takes a pasted token on: cleans it, has CardTrader say whose it is, and only then stores it, sealed. An account that had another
 * CardTrader seller before is refused unless `otherAccount`: its listings would be looked for in the wrong stock. So is an account that
 * another user has: requests are counted by user, and two would take twice what CardTrader allows one.
 */
export async function addSeller(deps: AccountDeps, userId: string, pasted: string, { otherAccount, ...by }: By & { otherAccount: boolean }): Promise<{ seller: Seller; app: RemoteApp; warnings: string[] }> {
  const { postgres, keyring, client } = deps;
  const token = cleanToken(pasted);
  const inspected = inspectToken(token);
  if (!inspected.ok) throw new BrxError('BRX_USAGE', `what was given as a token ${TOKEN_PROBLEMS[inspected.problem]}`, { remedy: 'copy the whole token from CardTrader: Settings, Full API app, “authentication token”' });
  const sealed = keyring.seal(token, tokenContext(userId)); // before the network: without keys nothing can be stored
  const app = accepted(await client.info({ userId, token }));
  const seller = await inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const holder = await selectHolder(tx, userId, app);
    if (holder !== undefined) throw new BrxError('BRX_REFUSED', `the token belongs to CardTrader’s ${accountWords(app)}, which is the account of user ${holder} already`, { remedy: 'check whose token it is: an account serves one user' });
    const before = await selectSeller(tx, userId);
    if (!otherAccount && before?.sellerId !== undefined && before.sellerId !== null && app.sellerId !== null && before.sellerId !== app.sellerId) {
      throw new BrxError('BRX_REFUSED', `the token belongs to CardTrader’s seller ${app.sellerId}, but ${userId} has been seller ${before.sellerId} so far`, { remedy: 'check whose token it is; if the account was really exchanged, say --other-account and link the listings anew' });
    }
    await upsertSeller(tx, userId, sealed, maskToken(token), app, sealedSecret(keyring, userId, app));
    await recordOperatorAction(tx, { ...by, action: before === undefined ? 'users.add' : 'users.replace_token', target: userId, detail: { appId: app.id, appName: app.name, sellerId: app.sellerId, before: before?.tokenHint ?? null } });
    return mustBe(await selectSeller(tx, userId), userId);
  });
  return { seller, app, warnings: ONE_DAY_READY.test(app.name ?? '') ? ['this looks like a “1-Day Ready” account, whose stock CardTrader holds itself: nothing must be listed for it'] : [] };
}

/** Asks CardTrader whether the stored token works; one that had been rejected and works again makes the seller active again. */
export async function checkSeller({ postgres, keyring, client }: AccountDeps, userId: string, by: By): Promise<{ seller: Seller; works: boolean; said: string }> {
  const sealed = await selectToken(postgres.prisma, userId);
  if (sealed === undefined) throw unknownSeller(userId);
  const outcome = await client.info({ userId, token: keyring.open(sealed, tokenContext(userId)) });
  if (outcome.outcome !== 'applied' && !(outcome.outcome === 'refused' && outcome.reason === 'token_rejected')) accepted(outcome);
  const works = outcome.outcome === 'applied';
  const seller = await inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const before = mustBe(await selectSeller(tx, userId), userId);
    if (works) await markChecked(tx, userId, sealedSecret(keyring, userId, outcome.body));
    if (works && before.status === 'token_rejected') await changeStatus(tx, before, 'active', 'the token works again', by);
    const now = await selectToken(tx, userId);
    if (!works && before.status === 'active' && now !== undefined && Buffer.compare(now.bytes, sealed.bytes) === 0) await changeStatus(tx, before, 'token_rejected', 'CardTrader answered 401 to a check', by);
    return mustBe(await selectSeller(tx, userId), userId);
  });
  return { seller, works, said: works ? `CardTrader knows it as ${accountWords(outcome.body)}` : 'CardTrader answered 401: the token is revoked, or another one was made' };
}

export async function pauseSeller(postgres: Postgres, userId: string, by: By): Promise<Seller> {
  return moveSeller(postgres, userId, 'paused', by, (before) => before.status !== 'paused');
}

export async function resumeSeller(postgres: Postgres, userId: string, by: By): Promise<Seller> {
  return moveSeller(postgres, userId, 'active', by, (before) => {
    if (before.status === 'token_rejected') throw new BrxError('BRX_REFUSED', `the token of ${userId} was rejected by CardTrader`, { remedy: '`brx-sync users check` if it works again, `brx-sync users add` for a new one' });
    return before.status !== 'active';
  });
}

async function moveSeller(postgres: Postgres, userId: string, status: SellerStatus, by: By, wanted: (before: Seller) => boolean): Promise<Seller> {
  return inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const before = mustBe(await selectSeller(tx, userId), userId);
    if (wanted(before)) await changeStatus(tx, before, status, by.reason, by);
    return mustBe(await selectSeller(tx, userId), userId);
  });
}

async function changeStatus(tx: Transaction, before: Seller, status: SellerStatus, reason: string, by: By): Promise<void> {
  await updateStatus(tx, before.userId, status, status === 'active' ? null : reason);
  await recordOperatorAction(tx, { ...by, action: `users.${status === 'active' ? 'resume' : status === 'paused' ? 'pause' : 'reject_token'}`, target: before.userId, detail: { from: before.status, to: status, why: reason } });
}

export interface Rotated {
  /** Sealed anew with the first key, and sealed with it already. */
  readonly sealed: number;
  readonly current: number;
  /** Those that do not open, and so stayed as they are. */
  readonly failed: readonly { readonly userId: string; readonly keyId: string; readonly problem: string }[];
}

/** Seals every token and webhook secret anew that is not sealed with the first key. One that does not open stops no other. Throws BRX_CONFIG without keys. */
export async function rotateTokens({ postgres, keyring }: Pick<AccountDeps, 'postgres' | 'keyring'>, { onProgress, ...by }: By & { onProgress?: (done: number, of: number) => void }): Promise<Rotated> {
  keyring.seal('', 'rotation'); // without keys there is nothing to rotate to
  const secrets = await selectSecrets(postgres.prisma);
  const old = secrets.filter(({ sealed }) => keyring.needsRotation(sealed));
  const failed: { userId: string; keyId: string; problem: string }[] = [];
  let count = 0;
  for (const [index, { userId, secret, sealed }] of old.entries()) {
    onProgress?.(index, old.length);
    const context = contextOf(secret, userId);
    const opened = keyring.tryOpen(sealed, context);
    if ('problem' in opened) {
      failed.push({ userId, keyId: sealed.keyId, problem: opened.problem });
      continue;
    }
    const anew = keyring.seal(opened.plain, context);
    const replaced = await inTransaction(postgres, async (tx) => {
      await lockUsers(tx, [userId]);
      if (!(await resealSecret(tx, userId, secret, sealed, anew))) return false; // another one was added meanwhile, and so sealed with the first key
      await recordOperatorAction(tx, { ...by, action: 'users.rotate', target: userId, detail: { secret, from: sealed.keyId, to: anew.keyId } });
      return true;
    });
    if (replaced) count += 1;
  }
  return { sealed: count, current: secrets.length - old.length, failed };
}

/** Tokens and webhook secrets that do not open with the keys at hand. */
export async function unreadableSecrets({ postgres, keyring }: Pick<AccountDeps, 'postgres' | 'keyring'>): Promise<{ userId: string; problem: string }[]> {
  const secrets = await selectSecrets(postgres.prisma);
  return secrets.flatMap(({ userId, secret, sealed }) => {
    const opened = keyring.tryOpen(sealed, contextOf(secret, userId));
    return 'problem' in opened ? [{ userId, problem: opened.problem }] : [];
  });
}

const contextOf = (secret: SecretName, userId: string): string => (secret === 'token' ? tokenContext(userId) : webhookContext(userId));

const sealedSecret = (keyring: Keyring, userId: string, { sharedSecret }: RemoteApp): Sealed | null => (sharedSecret === null || sharedSecret === '' ? null : keyring.seal(sharedSecret, webhookContext(userId)));

/**
 * CardTrader has answered 401 to a call in the seller's name: nothing more is called until there is another token. `token`: as it was sealed when it was called with; where
 * another one has been added since, that one is good.
 */
export async function rejectToken(postgres: Postgres, { userId, token }: { readonly userId: string; readonly token: Uint8Array }, by: By): Promise<void> {
  await inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const before = await selectSeller(tx, userId);
    const sealed = await selectToken(tx, userId);
    if (before?.status === 'active' && sealed !== undefined && Buffer.compare(sealed.bytes, token) === 0) await changeStatus(tx, before, 'token_rejected', by.reason, by);
  });
}

/** The answer to a call whose failure is the end of a command, or an error that says what to do. */
function accepted(outcome: Outcome<RemoteApp>): RemoteApp {
  switch (outcome.outcome) {
    case 'applied':
      return outcome.body;
    case 'refused':
      if (outcome.reason === 'token_rejected') throw new BrxError('BRX_REFUSED', `CardTrader does not accept the token: ${outcome.message}`, { remedy: 'making a new token on CardTrader kills the older ones: copy the newest' });
      throw new BrxError('BRX_REFUSED', `CardTrader refused: ${outcome.message}`);
    case 'throttled':
    case 'unknown':
      throw new BrxError('BRX_MARKETPLACE_UNAVAILABLE', `CardTrader gave no usable answer (${outcome.reason}): ${outcome.message}`, { remedy: 'try again; BRX_MARKETPLACE_URL says where it is looked for' });
  }
}

export const unknownSeller = (userId: string): BrxError => new BrxError('BRX_REFUSED', `${userId} has no CardTrader account here`, { remedy: '`brx-sync users add` takes one on, `brx-sync users list` shows which there are' });

export function mustBe(seller: Seller | undefined, userId: string): Seller {
  if (seller === undefined) throw unknownSeller(userId);
  return seller;
}

/** The token of a seller who was claimed; undefined, and told, where it does not open with the keys of this process: another one may have the key. */
export function openClaimed(keyring: Pick<Keyring, 'tryOpen'>, { userId, token, tokenKeyId }: { readonly userId: string; readonly token: Uint8Array; readonly tokenKeyId: string }, onProblem: (problem: string) => void): string | undefined {
  const opened = keyring.tryOpen({ keyId: tokenKeyId, bytes: token }, tokenContext(userId));
  if ('plain' in opened) return opened.plain;
  onProblem(opened.problem);
  return undefined;
}

/** A seller's token, for calls in their name. */
export async function openToken({ postgres, keyring }: Pick<AccountDeps, 'postgres' | 'keyring'>, userId: string): Promise<string> {
  const sealed = await selectToken(postgres.prisma, userId);
  if (sealed === undefined) throw unknownSeller(userId);
  return keyring.open(sealed, tokenContext(userId));
}
