import { ask, Failure } from './api.js';
import { badge, el, link, pager, prose, section, table, time, userLink, withQuery } from './dom.js';
import { pretty } from './letters.js';
import { actions, askWhy, readOnly, verbs } from './verbs.js';

export const parked = {
  title: () => 'Parked users',
  ask: (_, query) => withQuery('/parked', query),
  render({ parked: rows, next_cursor: next }, _, query) {
    return [
      el('h1', {}, 'Parked users'),
      el('p', { class: 'quiet' }, 'An event of theirs failed. It waits, with everything behind it, in order; nobody else is stopped. Once the cause is gone, have it tried again: each user’s page does it for one, ', el('code', {}, 'brx-sync parked retry --all'), ' for everyone.'),
      table('Parked users, longest first', [
        ['user', ({ user_id: user }) => link(`#/parked/${user}`, el('span', { class: 'id' }, user))],
        ['events', ({ events }) => events, 'right'],
        ['since', ({ since }) => time(since)],
        ['tries', ({ attempts }) => attempts, 'right'],
        ['why', ({ reason, error }) => [badge('warn', reason), ' ', error]],
      ], rows, 'Nobody is parked.'),
      pager('/parked', query, next),
    ];
  },
};

export const parkedUser = {
  title: ({ user }) => `Parked ${user}`,
  ask: ({ user }) => [`/parked/${user}`, '/overview'],
  keep: ([found, { writable }]) => [found, writable],
  render([{ parked: { events, since, reason, error, attempts, last_attempt_at: lastAt }, waiting, actions: done }, writable], { user }, _query, again) {
    const told = el('div', { role: 'status' });
    const refusal = readOnly(writable, '`brx-sync parked retry`');
    const rehearse = async () => {
      told.replaceChildren(el('p', { class: 'empty' }, 'trying, and taking it back …'));
      try {
        const { applied, remaining, waiting: events } = await ask(`/parked/${user}/retry`, { method: 'POST', body: { reason: 'dry run', dry_run: true } });
        told.replaceChildren(section('What would come of it', el('p', {}, remaining === 0 ? `All ${applied} would take effect, and the user be released. Nothing was done.` : `${applied} would take effect, ${remaining} go on waiting. Nothing was done.`), eventTable(events, true)));
      } catch (problem) {
        if (!(problem instanceof Failure)) throw problem;
        told.replaceChildren(el('p', { class: 'notice bad' }, badge('bad', 'no answer'), ` ${problem.message}. `, prose(problem.remedy)));
      }
    };
    return [
      el('h1', {}, 'Parked ', userLink(user)),
      el('p', { class: 'standing' }, `${events} ${events === 1 ? 'event waits' : 'events wait'} since `, time(since), `, ${attempts} ${attempts === 1 ? 'try' : 'tries'}`, lastAt === null ? '' : [', the last ', time(lastAt)]),
      el('p', { class: 'notice warn' }, badge('warn', reason), ' ', error),
      section('What can be done', verbs([
        { key: 'rehearse', name: 'Dry run', about: 'Tell what would come of each event: it is tried, and taken back.', refusal, act: () => void rehearse() },
        { key: 'retry', name: 'Try again', about: 'Apply what waits, in order, and release the user. What is refused again, and all behind it, goes on waiting.', refusal, act: () => askWhy({ name: 'Try again', about: 'What waits is applied in order.', send: ({ reason: why }) => ({ path: `/parked/${user}/retry`, body: { reason: why } }), done: ({ remaining }) => {
          if (remaining > 0) again();
          else location.hash = `/users/${user}`;
        } }) },
        { key: 'discard', name: 'Give up the first', about: 'It becomes a dead letter, for good; a replay does not bring it back. What waits behind it needs another try.', refusal: refusal ?? (waiting.length === 0 ? { problem: 'nothing waits' } : null), act: () => askWhy({ name: 'Give up the first', about: ['Event ', el('code', {}, waiting[0].event_id), ' will never take effect.'], type: 'give up', send: ({ reason: why }) => ({ path: `/parked/${user}/discard`, body: { reason: why, event: waiting[0].event_id } }), done: again }) },
      ])),
      told,
      section('What waits, in order', eventTable(waiting, false), events > waiting.length && el('p', { class: 'quiet' }, `The first ${waiting.length} of ${events}.`)),
      section('What was done', actions(done)),
    ];
  },
};

function eventTable(events, isTold) {
  return table('Events, in order', [
    ['event', ({ event_id: event }) => el('span', { class: 'id' }, event)],
    ['record', ({ record, place }) => `${record ?? 'cannot be read'}, ${place}`],
    ...(isTold ? [['would be', ({ outcome, error }) => (outcome !== null ? badge('good', outcome) : error === null ? badge('unknown', 'goes on waiting') : [badge('bad', 'refused'), ` ${error}`])]] : [['says', ({ value, error }) => (value === null ? error : el('details', {}, el('summary', {}, 'show'), pretty(value)))]]),
  ], events, 'Nothing.');
}
