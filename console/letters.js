import { badge, choice, el, link, pager, section, table, terms, time, userLink, withQuery } from './dom.js';
import { actions, readOnly, verbs } from './verbs.js';

const REASONS = ['undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'unknown_purchase', 'discarded'];
const STATES = ['redriven', 'discarded'];
const words = (code) => code.replaceAll('_', ' ');
export const letterLink = (id) => link(`#/dead-letters/${id}`, id);
const place = ({ topic, partition, offset }) => [`${topic} `, el('span', { class: 'place' }, `/ ${partition} @ ${offset}`)];

/** Chosen here and there in the list; kept while it is drawn anew. */
const chosen = new Set();

export const deadLetters = {
  title: () => 'Dead letters',
  ask: (_, query) => [withQuery('/dead-letters', query), '/overview'],
  keep: ([{ dead_letters: rows, next_cursor: next }, { writable }]) => ({ rows, next, writable }),
  render({ rows, next, writable }, _, query) {
    const open = !query.has('state');
    for (const id of chosen) if (!rows.some((row) => row.id === id)) chosen.delete(id);
    const filter = new URLSearchParams([['cause', query.get('reason')], ['user', query.get('user')]].filter(([, value]) => value !== null));
    const buttons = el('div', {});
    const draw = () => buttons.replaceChildren(verbs([
      { key: 'chosen', name: 'The chosen …', about: `Dry run, then send again or give up: ${chosen.size} chosen.`, refusal: readOnly(writable, '`brx-sync dlq redrive`') ?? (chosen.size === 0 ? { problem: 'none is chosen', remedy: 'tick some in the list' } : null), act: () => (location.hash = `/redrive?ids=${[...chosen].join(',')}`) },
      { key: 'all', name: 'All of these …', about: 'The same for all that fit the filter, also on other pages.', refusal: readOnly(writable, '`brx-sync dlq redrive`') ?? (filter.size === 0 ? { problem: 'that would be every one there is', remedy: 'choose a reason, or the page of a user' } : rows.length === 0 ? { problem: 'there are none' } : null), act: () => (location.hash = `/redrive?${filter}`) },
    ]));
    draw();
    const tick = ({ id }) => el('input', { type: 'checkbox', 'aria-label': `choose dead letter ${id}`, id: `choose-${id}`, checked: chosen.has(id), onchange: ({ target }) => {
      if (target.checked) chosen.add(id);
      else chosen.delete(id);
      draw();
    } });
    return [
      el('h1', {}, 'Dead letters', query.has('user') && [' of ', userLink(query.get('user'))]),
      el('p', { class: 'quiet' }, 'Records that can never take effect as they are. Nothing waits for them.'),
      el('p', { class: 'filters' }, choice('reason', 'reason', REASONS, '/dead-letters', query), choice('state', 'state', STATES, '/dead-letters', query, 'open')),
      open && buttons,
      section(open ? 'Open' : words(query.get('state')), table('Dead letters, newest first', [
        ...(open && writable ? [['', tick]] : []),
        ['id', ({ id }) => letterLink(id)],
        ['when (UTC)', ({ at }) => time(at)],
        ['reason', ({ reason, means }) => el('span', { title: means }, words(reason))],
        ['record', place],
        ['user', ({ user_id: user }) => (user === null ? '' : userLink(user))],
        ['detail', ({ detail }) => detail],
      ], rows, query.size > 0 ? 'None is like that.' : 'There are none.')),
      pager('/dead-letters', query, next),
    ];
  },
};

/** Whatever a value says, as text. */
export const pretty = (value) => el('pre', {}, typeof value === 'string' ? value : JSON.stringify(value, null, 2));

export const deadLetter = {
  title: ({ letter }) => `Dead letter ${letter}`,
  ask: ({ letter }) => [`/dead-letters/${letter}`, '/overview'],
  keep: ([found, { writable }]) => [found, writable],
  render([found, writable], { letter }) {
    const { became } = found;
    const refusal = readOnly(writable, '`brx-sync dlq redrive`') ?? (found.state === 'open' ? null : { problem: `it is ${found.state === 'redriven' ? 'sent again' : 'given up'} already` });
    return [
      el('h1', {}, `Dead letter ${letter} `, badge(found.state === 'open' ? 'warn' : 'unknown', words(found.state))),
      el('p', { class: 'standing' }, el('strong', {}, words(found.reason)), ': ', found.detail),
      el('p', { class: 'quiet' }, found.means),
      terms([
        ['record', place(found)],
        ['key', found.key === null ? 'none' : el('code', {}, found.key)],
        ['user', found.user_id === null ? 'not known' : userLink(found.user_id)],
        ['event', found.event_id === null ? 'not known' : link(`#/find/${found.event_id}`, el('span', { class: 'id' }, found.event_id))],
        ['buried', [time(found.at), ` by ${found.consumer_group}`]],
        ['was a redrive of', found.redrive_of === null ? undefined : letterLink(found.redrive_of)],
        ['became', became === null ? undefined : [words(became.outcome), became.dead_letter !== null && [' ', letterLink(became.dead_letter)], became.detail !== '' && `: ${became.detail}`]],
      ]),
      section('What can be done', verbs([{ key: 'redrive', name: 'Redrive …', about: 'Dry run, correct it, send it again, or give it up.', refusal, act: () => (location.hash = `/redrive?ids=${letter}`) }])),
      section(found.problem === null ? `What it says (${found.record ?? 'of no known record'})` : `What it holds (${found.problem})`, found.problem === null ? pretty(found.value) : el('p', {}, found.length === null ? 'No value at all.' : `${found.length} bytes; brx-sync dlq show ${letter} prints them.`)),
      found.headers.length > 0 && section('Headers', terms(found.headers.map(({ name, value }) => [name, value]))),
      section('What was done', actions(found.actions)),
    ];
  },
};
