import { badge, choice, el, pager, table, time, userLink, withQuery } from './dom.js';

const REASONS = ['undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'unknown_purchase', 'discarded'];

export const parked = {
  title: () => 'Parked users',
  ask: (_, query) => withQuery('/parked', query),
  render({ parked: rows, next_cursor: next }, _, query) {
    return [
      el('h1', {}, 'Parked users'),
      el('p', { class: 'quiet' }, 'An event of theirs failed. It waits, with everything behind it, in order; nobody else is stopped. Once the cause is gone: brx-sync parked retry'),
      table('Parked users, longest first', [
        ['user', ({ user_id: user }) => userLink(user)],
        ['events', ({ events }) => events, 'right'],
        ['since', ({ since }) => time(since)],
        ['tries', ({ attempts }) => attempts, 'right'],
        ['why', ({ reason, error }) => [badge('warn', reason), ' ', error]],
      ], rows, 'Nobody is parked.'),
      pager('/parked', query, next),
    ];
  },
};

export const deadLetters = {
  title: () => 'Dead letters',
  ask: (_, query) => withQuery('/dead-letters', query),
  render({ dead_letters: rows, next_cursor: next }, _, query) {
    return [
      el('h1', {}, 'Dead letters'),
      el('p', { class: 'quiet' }, 'Records that can never take effect as they are. Nothing waits for them.'),
      el('p', { class: 'filters' }, choice('reason', 'reason', REASONS, '/dead-letters', query)),
      table('Dead letters, newest first', [
        ['when (UTC)', ({ at }) => time(at)],
        ['reason', ({ reason, means }) => el('span', { title: means }, reason.replaceAll('_', ' '))],
        ['record', ({ topic, partition, offset }) => `${topic} / ${partition} @ ${offset}`],
        ['user', ({ user_id: user }) => (user === null ? '' : userLink(user))],
        ['detail', ({ detail }) => detail],
      ], rows, query.has('reason') ? 'None has this reason.' : 'There are none.'),
      pager('/dead-letters', query, next),
    ];
  },
};
