import { badge, choice, el, itemLink, link, money, pager, section, table, terms, time, userLink, withQuery } from './dom.js';
import { COUNTED, heldUp, use } from './limits.js';
import { askWhy, readOnly, verbs } from './verbs.js';

const STATUSES = ['active', 'paused', 'token_rejected'];
const ITEM_STATUSES = ['in_stock', 'out_of_stock', 'removed', 'drifted', 'oversold', 'listed', 'unlisted', 'mismatched'];
const ACCOUNT_LEVEL = { active: 'good', paused: 'warn', token_rejected: 'bad' };
const accountBadge = (account) => (account === null ? 'no account' : badge(ACCOUNT_LEVEL[account.status], account.status.replaceAll('_', ' ')));

function amiss({ parked, drifted_items: drifted, oversold_items: oversold, mismatched_listings: mismatched }) {
  const found = [parked !== null && badge('warn', `parked, ${parked.events} wait`), drifted > 0 && badge('warn', `${drifted} drifted`), oversold > 0 && badge('bad', `${oversold} oversold`), mismatched > 0 && badge('warn', `${mismatched} mismatched`)].filter((one) => one !== false);
  return found.length === 0 ? 'nothing' : found.flatMap((one) => [one, ' ']);
}

export const users = {
  title: () => 'Users',
  ask: (_, query) => withQuery('/users', query),
  render({ users: rows, next_cursor: next }, _, query) {
    return [
      el('h1', {}, 'Users'),
      el('p', { class: 'filters' }, choice('account', 'status', STATUSES, '/users', query)),
      table('Users', [
        ['user', ({ user_id: id }) => userLink(id)],
        ['on CardTrader', ({ account }) => accountBadge(account)],
        ['amiss', amiss],
        ['under way there', ({ open_operations: open }) => open, 'right'],
      ], rows, query.has('status') ? 'Nobody is like that.' : 'Nobody has items or an account yet: the first event of a user brings them here.'),
      pager('/users', query, next),
    ];
  },
};

export const user = {
  title: ({ user: id }) => `User ${id}`,
  ask: ({ user: id }) => [`/users/${id}`, '/overview', `/users/${id}/limits`],
  /** Of what is asked for its own sake only: an overview changes all the time. */
  keep: ([found, { writable }, limits]) => [found, writable, limits],
  render([found, writable, limits], { user: id }, _query, again) {
    const { account, parked } = found;
    return [
      el('h1', {}, 'User ', el('code', {}, id)),
      terms([
        ['items', el('a', { href: `#/users/${id}/items` }, `${found.items} items`)],
        ['listings on CardTrader', found.listings],
        ['sales', el('a', { href: `#/sagas?user=${id}` }, 'under way')],
        ['amiss', amiss(found)],
        ['bulk syncs', link(`#/syncs?user=${id}`, 'under way, before, and asking for one')],
        ['differs from CardTrader', link(`#/users/${id}/drift`, 'what, and why')],
        ['dead letters', link(`#/dead-letters?user=${id}`, 'of this user')],
        ['parked', parked === null ? undefined : [link(`#/parked/${id}`, 'what waits'), ' since ', time(parked.since), ` (${parked.reason}): ${parked.events} events wait, so the numbers here are not the newest`]],
        ['under way on CardTrader', found.open_operations],
      ]),
      section('On CardTrader', account === null ? el('p', { class: 'empty' }, 'No account there: nothing is listed or sold for this user. `brx-sync users add` adds one.') : terms([
        ['status', [accountBadge(account), account.status_reason === null ? '' : ` ${account.status_reason}`]],
        ['since', time(account.status_at)],
        ['app', account.app_name],
        ['seller', account.seller_id],
        ['token seen to work', time(account.token_checked_at)],
        ['listing sync', account.listing_sync ? `on, ${account.buffer} of each kept back` : 'off'],
        ['orders read', time(account.orders_read_at)],
        ['not called before', account.circuit_open_until === null ? undefined : time(account.circuit_open_until)],
      ])),
      account !== null && section('Its limit there', !limits.known && el('p', { class: 'empty' }, 'Not known here: this instance calls nobody, and has no Redis to look into.'), limits.known && table('Requests in the window now', [
        ['of', ({ means }) => means],
        ['used', (one) => use(one, one.means)],
        ['held up', heldUp],
      ], limits.buckets, ''), limits.known && el('p', { class: 'quiet' }, `Counted ${COUNTED[limits.counted]}${limits.silent_seconds > 0 ? `; nothing is sent for ${limits.silent_seconds.toFixed(1)} s` : ''}. `, link('#/limits', 'All sellers'))),
      section('What can be done', verbs(switches(id, account, writable, again))),
    ];
  },
};

function switches(id, account, writable, again) {
  const none = account === null ? { problem: 'no account on CardTrader' } : null;
  const refusal = (verb, problem) => readOnly(writable, `\`brx-sync users ${verb}\``) ?? none ?? problem;
  const rejected = account?.status === 'token_rejected' ? { problem: 'CardTrader rejects the token', remedy: '`brx-sync users add` takes a new one on' } : null;
  const move = (verb, name, about) => () => askWhy({ name, about, send: ({ reason }) => ({ path: `/users/${id}/${verb}`, body: { reason } }), done: again });
  const about = { pause: 'CardTrader is called no more for this user: operations wait, and sales end at their deadlines.', resume: 'What waits goes on.' };
  return [
    { key: 'pause', name: 'Pause', about: about.pause, refusal: refusal('pause', rejected ?? (account?.status === 'paused' ? { problem: 'it is paused already' } : null)), act: move('pause', 'Pause', about.pause) },
    { key: 'resume', name: 'Resume', about: about.resume, refusal: refusal('resume', rejected ?? (account?.status === 'active' ? { problem: 'it is not paused' } : null)), act: move('resume', 'Resume', about.resume) },
  ];
}

const flagBadges = (flags) => flags.flatMap((flag) => [badge(flag === 'removed' ? 'unknown' : flag === 'oversold' ? 'bad' : 'warn', flag), ' ']);
const stock = ({ on_hand: onHand, held }) => (held === 0 ? onHand : `${onHand} − ${held} held`);

export const items = {
  title: ({ user: id }) => `Items of ${id}`,
  ask: ({ user: id }, query) => withQuery(`/users/${id}/items`, query),
  render({ items: rows, next_cursor: next }, { user: id }, query) {
    const path = `/users/${id}/items`;
    return [
      el('h1', {}, 'Items of ', userLink(id)),
      el('p', { class: 'filters' }, choice('which', 'status', ITEM_STATUSES, path, query)),
      table('Items', [
        ['item', ({ item_id: item }) => itemLink(id, item)],
        ['card', ({ name, blueprint_id: blueprint }) => name ?? (blueprint === null ? 'no blueprint' : `blueprint ${blueprint}`)],
        ['stock', stock, 'right'],
        ['available', ({ available }) => available, 'right'],
        ['price', ({ price_cents: cents, currency }) => money(cents, currency), 'right'],
        ['CardTrader', ({ listing }) => (listing === null ? 'not listed' : listing.gone ? badge('warn', 'gone') : [`${listing.quantity} listed `, listing.mismatch !== null && badge('warn', listing.mismatch)])],
        ['', ({ flags }) => flagBadges(flags)],
      ], rows, query.has('status') ? 'No item is like that.' : 'No items.'),
      pager(path, query, next),
    ];
  },
};

export const item = {
  title: ({ item: id }) => `Item ${id}`,
  ask: ({ user: id, item: itemId }, query) => [`/users/${id}/items/${itemId}`, `/users/${id}/items/${itemId}/history${query.has('cursor') ? `?cursor=${encodeURIComponent(query.get('cursor'))}` : ''}`],
  render([found, { history, end, next_cursor: next }], { user: id, item: itemId }, query) {
    const { listing } = found;
    return [
      el('h1', {}, 'Item ', el('code', {}, itemId)),
      el('p', {}, 'of ', userLink(id), ' ', flagBadges(found.flags)),
      el('p', { class: 'sum' }, el('strong', {}, found.available), ` available: ${found.on_hand} on hand, ${found.held} held`),
      found.parked !== null && el('p', { class: 'notice warn' }, badge('warn', 'parked'), ` since `, time(found.parked.since), `: ${found.parked.events} events of this user wait, so this is not the newest number. `, found.parked.reason),
      terms([
        ['price', money(found.price_cents, found.currency)],
        ['blueprint', found.blueprint_id],
        ['version', found.version],
        ['changed', time(found.changed_at)],
        ...Object.entries(found.properties),
      ]),
      section('Held by sales', table('Held by', [
        ['purchase', ({ purchase_id: purchase }) => el('a', { href: `#/sagas/${purchase}`, class: 'id' }, purchase)],
        ['copies', ({ quantity }) => quantity, 'right'],
        ['state', ({ state }) => state],
        ['since', ({ since }) => time(since)],
      ], found.holds, 'No sale under way holds any.')),
      section('On CardTrader', listing === null ? el('p', { class: 'empty' }, 'Not listed.') : terms([
        ['product', `${listing.product_id}${listing.name === null ? '' : ` ${listing.name}`}`],
        ['shows', [`${listing.quantity} ${listing.quantity === 1 ? 'copy' : 'copies'} at ${money(listing.price_cents, listing.currency)}, confirmed `, time(listing.confirmed_at)]],
        ['gone', listing.gone ? badge('warn', 'it is there no more') : undefined],
        ['mismatch', listing.mismatch === null ? undefined : [badge('warn', listing.mismatch.kind), ` expected ${listing.mismatch.expected ?? 'none'}, found ${listing.mismatch.found ?? 'none'}, `, time(listing.mismatch.at)]],
      ])),
      section('Under way there', table('Operations', [
        ['what', ({ kind, quantity }) => `${kind} ${quantity}`],
        ['state', ({ state, reason }) => `${state}${reason === null ? '' : ` (${reason})`}`],
        ['sale', ({ purchase_id: purchase }) => (purchase === null ? '' : el('a', { href: `#/sagas/${purchase}`, class: 'id' }, purchase))],
        ['tries', ({ attempts }) => attempts, 'right'],
        ['asked for', ({ created_at: at }) => time(at)],
      ], found.operations, 'Nothing.')),
      section('Why the number is what it is', table('History, newest first', [
        ['when (UTC)', ({ occurred_at: at }) => time(at)],
        ['what happened', ({ words }) => words],
        ['on hand', ({ on_hand: onHand }) => onHand, 'right'],
        ['event', ({ event_id: event, purchase_id: purchase }) => [el('span', { class: 'id' }, event), purchase !== null && [' ', el('a', { href: `#/sagas/${purchase}` }, 'sale')]]],
      ], history, 'Nothing is known of it.'), end === 'gone' && el('p', { class: 'quiet' }, 'What came before is older than the ledger keeps.'), pager(`/users/${id}/items/${itemId}`, query, next)),
    ];
  },
};
