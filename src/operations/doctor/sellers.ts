import { openToken, selectSellers, unreadableSecrets, type AccountDeps, type Seller } from '../../marketplace/index.ts';
import { orOk, sayOf, type Finding } from './finding.ts';

const say = sayOf('sellers');
/** Names in one line; the rest is counted. */
const NAMED = 5;

export interface SellerOptions {
  /** Most tokens that are tried at CardTrader, one request each. */
  readonly tokens: number;
  readonly onProgress: (done: number, of: number) => void;
}

export async function examineSellers(deps: AccountDeps, { tokens, onProgress }: SellerOptions): Promise<Finding[]> {
  const sellers = await selectSellers(deps.postgres.prisma);
  if (sellers.length === 0) return [say.warning('sellers', 'no seller has a CardTrader account here: nothing is told to CardTrader', '`brx-sync users add` takes one on')];
  const unreadable = await unreadableSecrets(deps);
  const findings = judgeSellers(sellers, unreadable);
  const active = sellers.filter(({ status, userId }) => status === 'active' && !unreadable.some((secret) => secret.userId === userId));
  const tried = active.slice(0, tokens);
  const broken: Finding[] = [];
  for (const [index, { userId }] of tried.entries()) {
    onProgress(index, tried.length);
    const outcome = await deps.client.info({ userId, token: await openToken(deps, userId) });
    if (outcome.outcome === 'applied') continue;
    broken.push(
      outcome.outcome === 'refused' && outcome.reason === 'token_rejected'
        ? say.failure('tokens', `CardTrader does not accept the token of ${userId}`, `\`brx-sync users check ${userId}\` looks again and pauses them, \`brx-sync users add ${userId}\` takes a new token`)
        : say.failure('CardTrader', `no usable answer for ${userId} (${outcome.reason}): ${outcome.message}`, 'see that BRX_MARKETPLACE_URL is right and reachable from here'),
    );
    if (outcome.outcome !== 'refused') break; // who does not answer one does not answer the next
  }
  return [...findings, ...orOk(broken, tried.length === 0 ? say.skipped('tokens', tokens === 0 ? 'not tried at CardTrader: --tokens 0' : 'no seller is active') : say.ok('tokens', `CardTrader accepts ${tried.length === active.length ? `all ${active.length}` : `the ${tried.length} of ${active.length} that were tried (--tokens tries more)`}`))];
}

export function judgeSellers(sellers: readonly Pick<Seller, 'userId' | 'status'>[], unreadable: readonly { readonly userId: string; readonly problem: string }[]): Finding[] {
  const rejected = sellers.filter(({ status }) => status === 'token_rejected').map(({ userId }) => userId);
  const findings: Finding[] = [];
  if (unreadable.length > 0)
    findings.push(say.failure('secrets', `${unreadable.length} stored secrets do not open: ${unreadable.slice(0, NAMED).map(({ userId, problem }) => `${userId} (${problem})`).join('; ')}${more(unreadable.length)}`, 'put the old key back into BRX_SECRET_KEYS behind the new one, then `brx-sync users rotate-keys`; a key that is lost needs `brx-sync users add` for each'));
  else findings.push(say.ok('secrets', 'every token and webhook secret opens with the keys at hand'));
  if (rejected.length > 0) findings.push(say.failure('accounts', `CardTrader has rejected the token of ${rejected.slice(0, NAMED).join(', ')}${more(rejected.length)}: nothing is told to CardTrader for them`, '`brx-sync users check USER` if it works again, `brx-sync users add USER` for a new one'));
  const paused = sellers.filter(({ status }) => status === 'paused').length;
  findings.push(paused > 0 ? say.warning('accounts', `${paused} of ${sellers.length} sellers are paused by an operator`, '`brx-sync users list` shows who and why, `brx-sync users resume USER` goes on') : say.ok('accounts', `${sellers.length - rejected.length} of ${sellers.length} sellers are active`));
  return findings;
}

const more = (count: number): string => (count > NAMED ? ` and ${count - NAMED} more` : '');
