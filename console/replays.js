import { badge, choice, el, link, number, prose, section, table, terms, time } from './dom.js';
import { askWhy, readOnly, verbs } from './verbs.js';

const LEVEL = { half_set: 'bad', waits: 'warn', running: 'warn', over: 'good' };
const WORDS = { half_set: 'half set', never_set: 'never set', waits: 'waits for instances', running: 'under way', over: 'over', undone: 'undone' };
const stateBadge = ({ state }) => badge(LEVEL[state] ?? 'unknown', WORDS[state]);
const seconds = (n) => (n < 90 ? `${Math.ceil(n)} s` : n < 5_400 ? `${Math.round(n / 60)} min` : `${(n / 3_600).toFixed(1)} h`);
const TARGETS = [
  ['earliest', 'everything that is still there', ''],
  ['time', 'what was published since a time', '2026-11-23T18:00:00Z'],
  ['since', 'what was published in the last', '2h'],
  ['shift', 'so many records back in each partition', '-1000'],
  ['offset', 'this offset in each partition', '4711'],
];
/** Setting offsets joins the group for a moment. */
const SETTING_MS = 60_000;

export const replays = {
  title: () => 'Replays',
  ask: (_, query) => `/replays${query.has('group') ? `?group=${query.get('group')}` : ''}`,
  render({ replays: rows }, _, query) {
    return [
      el('h1', {}, 'Replays'),
      el('p', { class: 'quiet' }, 'Records read again, by setting a group’s offsets back. Events that took effect are recognised and change nothing; holes are filled.'),
      section('See what one would do', planForm(new URLSearchParams())),
      section('There were', el('p', { class: 'filters' }, choice('group', 'group', ['ingest', 'saga'], '/replays', query)), table('Replays, newest first', [
        ['id', ({ replay_id: id }) => link(`#/replays/${id}`, id)],
        ['begun', ({ begun_at: at }) => time(at)],
        ['group', ({ group }) => group],
        ['how', ({ how }) => how],
        ['state', stateBadge],
        ['who', ({ who, detected }) => (detected ? 'another tool' : who)],
        ['why', ({ reason }) => reason ?? ''],
      ], rows, 'There was none.')),
    ];
  },
};

/** Its fields are the address of the plan, which can be sent to somebody. */
function planForm(query) {
  const get = (name, otherwise = '') => query.get(name) ?? otherwise;
  const select = (name, options, chosen) => el('select', { id: `plan-${name}`, name }, options.map(([option, words]) => el('option', { value: option, selected: option === chosen }, words)));
  const kind = select('to', TARGETS, get('to', 'earliest'));
  const value = el('input', { id: 'plan-value', name: 'value', value: get('value'), autocomplete: 'off' });
  const fit = () => {
    const example = TARGETS.find(([name]) => name === kind.value)[2];
    value.disabled = example === '';
    value.required = example !== '';
    value.placeholder = example;
    if (example === '') value.value = '';
  };
  kind.addEventListener('change', fit);
  fit();
  const labelled = (name, label, input) => el('label', { for: `plan-${name}` }, `${label} `, input);
  const skip = el('input', { id: 'plan-skip', type: 'checkbox', checked: get('allow_skip') === 'true' });
  const user = el('input', { id: 'plan-user', name: 'user', value: get('user'), autocomplete: 'off', placeholder: 'everybody' });
  const partitions = el('input', { id: 'plan-partitions', name: 'partitions', value: get('partitions'), autocomplete: 'off', placeholder: 'all' });
  const group = select('group', [['ingest', 'events (ingest)'], ['saga', 'steps of sales (saga)']], get('group', 'ingest'));
  return el('form', {
    class: 'plan',
    onsubmit: (event) => {
      event.preventDefault();
      const address = new URLSearchParams([['group', group.value], ['to', kind.value], ['value', value.value.trim()], ['user', user.value.trim().toLowerCase()], ['partitions', partitions.value.replaceAll(' ', '')], ['allow_skip', skip.checked ? 'true' : '']].filter(([, given]) => given !== ''));
      document.activeElement?.blur();
      location.hash = `/replays/plan?${address}`;
    },
  }, labelled('group', 'of', group), labelled('to', 'to', kind), labelled('value', 'which is', value), labelled('user', 'only the partition of user', user), labelled('partitions', 'only partitions', partitions), el('label', { for: 'plan-skip', class: 'check' }, skip, ' let a partition skip records that were never read'), el('button', {}, 'Plan'));
}

export const replayPlan = {
  title: () => 'Plan of a replay',
  isStill: true,
  patience: 20_000,
  ask: (_, query) => [`/replays/plan?${query}`, '/overview'],
  keep: ([plan, { writable }]) => [plan, writable],
  render([plan, writable], _params, query, again) {
    const { group, topic, how, group_state: state, members, partitions, refused, effect } = plan;
    const blocked = readOnly(writable, '`brx-sync replay apply`') ?? (refused.length === 0 ? null : { problem: refused[0].problem });
    return [
      el('h1', {}, 'Plan of a replay ', refused.length > 0 ? badge('warn', 'may not run now') : badge('good', 'may run')),
      el('p', { class: 'standing' }, `${group}, ${how}`),
      terms([
        ['topic', topic],
        ['group is', `${state}${members.length === 0 ? ', nobody reads' : ''}`],
        ['read again', `${number(plan.again)} records`],
        ['behind already', plan.pending === 0 ? undefined : `${number(plan.pending)} records`],
        ['never read', plan.skipped === 0 ? undefined : badge('bad', `${number(plan.skipped)} records would be skipped`)],
        ['time', `about ${seconds(plan.seconds)} at ${number(plan.records_per_second)} records/s (${plan.measured ? 'as its last replay' : 'assumed: none was measured yet'})`],
      ]),
      refused.map(({ problem, remedy }) => el('div', { class: 'notice warn' }, badge('warn', 'not now'), el('p', {}, problem), el('p', { class: 'remedy' }, 'What to do: ', prose(remedy)))),
      section('What becomes of what is read again', effects(plan, effect)),
      section('What can be done', verbs([
        { key: 'apply', name: 'Set the offsets', about: 'Old ones are written down first, so that it can be undone. Then start the instances.', refusal: blocked, act: () => apply(plan, query) },
        { key: 'again', name: 'Plan again', about: 'Ask Kafka anew; this page does not do so by itself.', refusal: null, plain: true, act: () => again() },
      ])),
      members.length > 0 && section('Who reads', table('Members', [
        ['client', ({ client }) => client],
        ['host', ({ host }) => host],
        ['partitions', ({ partitions: own }) => own.join(', ') || 'none'],
      ], members, '')),
      section('By partition', table('Partitions', [
        ['partition', ({ partition }) => partition],
        ['from', ({ from }) => from ?? 'never', 'right'],
        ['to', ({ to }) => to, 'right'],
        ['read again', ({ again: n }) => number(n), 'right'],
        ['behind already', ({ pending }) => number(pending), 'right'],
        ...(plan.skipped > 0 ? [['skipped', ({ skipped }) => number(skipped), 'right']] : []),
        ['', ({ gone }) => (gone === null ? 'begins here: older records are deleted' : gone > 0 ? `${number(gone)} asked for are deleted` : '')],
      ], partitions, 'No partition is meant.')),
      section('Another plan', planForm(query)),
    ];
  },
};

function effects({ again, topic }, effect) {
  if (again === 0) return el('p', { class: 'empty' }, 'Nothing is read again.');
  if (effect === null) return el('p', {}, topic.endsWith('saga-events') ? 'Steps a sale has taken are recognised by it; nothing is called again on CardTrader.' : 'Not counted: it is too much to read for a plan. Events that took effect are duplicates, dead letters are not written twice, what is from before the horizon and not known any more becomes a dead letter, holes are filled.');
  return el('ul', { class: 'sums' }, [
    [effect.duplicates, 'known: no effect'], [effect.buried, 'dead letters before: not written again'], [effect.fresh, 'without effect so far: applied now'], [effect.too_old, 'too old: would become dead letters'], [effect.unusable, 'of no use: would become dead letters'],
  ].filter(([n]) => n > 0).map(([n, what]) => el('li', {}, el('strong', {}, number(n)), ` ${what}`)));
}

function apply({ group, how, again: records, skipped }, query) {
  const asked = Object.fromEntries(query);
  askWhy({
    name: 'Set the offsets',
    about: `${group} goes ${how}: ${number(records)} records are read again${skipped > 0 ? `, ${number(skipped)} are never read` : ''}. It is planned anew when it is done.`,
    type: group,
    patience: SETTING_MS,
    send: ({ reason }) => ({ path: '/replays', body: { ...asked, allow_skip: asked.allow_skip === 'true', reason, confirm: group } }),
    done: ({ replay_id: id }) => (location.hash = `/replays/${id}`),
  });
}

export const replay = {
  title: ({ replay: id }) => `Replay ${id}`,
  patience: 20_000,
  ask: ({ replay: id }) => [`/replays/${id}`, '/overview'],
  keep: ([found, { writable }]) => [found, writable],
  render([found, writable], { replay: id }, _query, again) {
    const share = found.of === 0 ? 100 : Math.floor((100 * found.done) / found.of);
    const isOver = found.state === 'over' || found.state === 'undone' || found.state === 'never_set';
    return [
      el('h1', {}, `Replay ${id} `, stateBadge(found)),
      el('p', { class: 'standing' }, `${found.group}, ${found.how}`),
      found.state === 'half_set' && el('p', { class: 'notice bad' }, badge('bad', 'half set'), ' Kafka or the network failed on the way: undo it, or apply it again.'),
      !isOver && found.members === 0 && el('p', { class: 'notice warn' }, badge('warn', 'nobody reads'), ' Start the instances: then it goes on by itself.'),
      terms([
        ['topic', found.topic],
        ['by', found.detected ? 'another tool than brx-sync' : `${found.who}: ${found.reason}`],
        ['begun', time(found.begun_at)],
        ['over', found.caught_up_at === null ? undefined : time(found.caught_up_at)],
        ['undone', found.undone_at === null ? undefined : time(found.undone_at)],
        ['read again', isOver ? undefined : [el('meter', { min: 0, max: Math.max(1, found.of), value: found.done, 'aria-label': `${share} %` }), ` ${number(found.done)} of ${number(found.of)} (${share} %)`]],
        ['pace', isOver ? undefined : found.records_per_second === null ? `not known yet, ${found.members} ${found.members === 1 ? 'member' : 'members'}` : `${number(Math.round(found.records_per_second))} records/s${found.seconds_left === null ? '' : `, ${seconds(found.seconds_left)} left`}`],
        ['to the end', `${number(found.behind)} records`],
      ]),
      section('What can be done', verbs([{ key: 'undo', name: 'Undo', about: 'Back to where the group had been; what has caught up already stays.', refusal: readOnly(writable, '`brx-sync replay undo`') ?? found.undo_refused, act: () => askWhy({ name: 'Undo', about: `${found.group} goes back to where it had been before replay ${id}.`, type: found.group, patience: SETTING_MS, send: ({ reason }) => ({ path: `/replays/${id}/undo`, body: { reason, confirm: found.group } }), done: again }) }])),
      !isOver && section('Not there yet', table('Partitions that are not where they had been', [
        ['partition', ({ partition }) => partition],
        ['at', ({ at }) => at, 'right'],
        ['had been at', ({ goal }) => goal, 'right'],
        ['left', ({ left }) => number(left), 'right'],
      ], found.left, 'Every partition is where it had been.')),
      section('Offsets', table('Offsets that were set', [
        ['partition', ({ partition }) => partition],
        ['had been', ({ from }) => from ?? 'never', 'right'],
        ['set to', ({ to }) => to, 'right'],
      ], found.moves, 'None.')),
    ];
  },
};
