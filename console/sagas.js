import { badge, choice, el, itemLink, money, pager, section, table, terms, time, userLink, withQuery } from './dom.js';
import { askWhy, readOnly, verbs } from './verbs.js';

const STATES = ['RESERVED', 'CALLING', 'RECONCILING', 'COMPENSATING', 'NEEDS_OPERATOR', 'CONFIRMED', 'REJECTED', 'COMPENSATED'];
const LEVEL = { NEEDS_OPERATOR: 'bad', RECONCILING: 'warn', CONFIRMED: 'good' };
const stateBadge = (state) => badge(LEVEL[state] ?? 'unknown', state.replaceAll('_', ' ').toLowerCase());
const sagaLink = ({ purchase_id: purchase, user_id: user }) => el('a', { href: `#/sagas/${purchase}?user=${user}`, class: 'id' }, purchase);

export const sagas = {
  title: () => 'Sales',
  ask: (_, query) => withQuery('/sagas', query),
  render({ sagas: rows, next_cursor: next }, _, query) {
    return [
      el('h1', {}, 'Sales', query.has('user') && [' of ', userLink(query.get('user'))]),
      el('p', { class: 'filters' }, choice('state', 'state', STATES, '/sagas', query, 'not ended')),
      table('Sales, oldest first', [
        ['purchase', sagaLink],
        ['state', ({ state }) => stateBadge(state)],
        ['why', ({ reason }) => reason ?? ''],
        ['user', ({ user_id: user }) => userLink(user)],
        ['started', ({ started_at: at }) => time(at)],
        ['last step', ({ updated_at: at }) => time(at)],
      ], rows, query.has('state') ? 'No sale is like that.' : 'No sale is under way.'),
      pager('/sagas', query, next),
    ];
  },
};

export const saga = {
  title: ({ purchase }) => `Sale ${purchase}`,
  ask: ({ purchase }, query) => [`/sagas/${purchase}${query.has('user') ? `?user=${query.get('user')}` : ''}`, '/overview'],
  /** Of the overview only what the buttons need: the rest changes all the time. */
  keep: ([story, { writable }]) => [story, writable],
  render([{ sagas: stories }, writable], { purchase }, _query, again) {
    return [el('h1', {}, 'Sale ', el('code', {}, purchase)), ...stories.flatMap((story) => told(story, writable, again))];
  },
};

function told(story, writable, again) {
  const begun = new Date(story.started_at).getTime();
  // Of a sale that has ended people want the story; of one that has not, what they can do about it.
  const whatCanBeDone = section('What can be done', verbsOf(story, writable, again));
  return [
    el('p', {}, stateBadge(story.state), ' of ', userLink(story.user_id)),
    el('p', { class: 'standing' }, story.standing),
    story.cancellation_waits && el('p', { class: 'notice warn' }, badge('warn', 'cancelled'), ' A cancellation waits.'),
    terms([
      ['asked for by event', el('span', { class: 'id' }, story.event_id)],
      ['started', time(story.started_at)],
      ['next look', story.next_look_at === null ? 'none: it has ended' : time(story.next_look_at)],
    ]),
    section('What is sold', table('Lines', [
      ['item', ({ item_id: item }) => itemLink(story.user_id, item)],
      ['copies', ({ quantity }) => quantity, 'right'],
      ['each', ({ unit_price_cents: cents }) => money(cents, story.currency), 'right'],
    ], story.lines, 'No lines are kept.')),
    story.next_look_at !== null && whatCanBeDone,
    section('On CardTrader', story.operations.length === 0 ? el('p', { class: 'empty' }, 'Nothing was asked for there.') : el('ul', {}, story.operations.map(({ words, operation_id: operation }) => el('li', {}, words, ' ', el('span', { class: 'id quiet' }, operation))))),
    section('What happened', el('ol', { class: 'timeline' }, story.timeline.map(({ at, words, is_call: isCall }) => el('li', { class: isCall && 'call' }, time(at), el('span', { class: 'quiet' }, `+${((new Date(at).getTime() - begun) / 1_000).toFixed(3)} s`), el('span', {}, words))))),
    story.next_look_at === null && whatCanBeDone,
  ];
}

const VERBS = [
  { key: 'retry', verb: 'retry', name: 'Try again', about: 'Do now what it waits for.', extra: {} },
  { key: 'compensate', verb: 'compensate', name: 'Undo', about: 'Undo the sale on both sides, a confirmed one too.', extra: {} },
  { key: 'confirm', verb: 'confirm', name: 'Let it stand', about: 'What is open has been done on CardTrader, by us or by hand.', extra: {} },
  { key: 'applied', verb: 'resolve', name: 'It took effect', about: 'What cannot be told took effect on CardTrader.', extra: { applied: true } },
  { key: 'not-applied', verb: 'resolve', name: 'It did not', about: 'What cannot be told did not take effect on CardTrader.', extra: { applied: false } },
];

function verbsOf(story, writable, again) {
  return verbs(VERBS.map(({ key, verb, name, about, extra }) => ({
    key: `${key}-${story.user_id}`,
    name,
    about,
    refusal: readOnly(writable, '`brx-sync saga`') ?? story.refusals[verb],
    act: () => askWhy({ name, about, send: ({ reason }) => ({ path: `/sagas/${story.purchase_id}/${verb}`, body: { reason, user: story.user_id, ...extra } }), done: again }),
  })));
}
