import { badge, el, link, number, prose, section, table } from './dom.js';

const WHERE = { parked: '#/parked', dead_letters: '#/dead-letters', sagas: '#/sagas', sellers: '#/users', limits: '#/limits' };
const STATUS_LEVEL = { ok: 'good', warn: 'warn', stop: 'bad', stall: 'bad', rewind: 'bad', replay: 'unknown' };
const STATUS_WORDS = { ok: 'ok', warn: 'falls behind', stop: 'nobody reads', stall: 'stands still', rewind: 'went back', replay: 'is read again' };
const POOL_LINE = 0.8;
export const PAGES = new Set();

/** Health first: what is wrong stands before what is well. */
export const health = {
  title: () => 'Health',
  ask: () => '/overview',
  render({ level, parts, partitions, pools, roles, version }) {
    const order = ['bad', 'warn', 'unknown', 'good'];
    const sorted = parts.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
    return [
      el('h1', {}, 'Health ', badge(level, { good: 'all is well', unknown: 'not all is known', warn: 'something to look at', bad: 'something is wrong' }[level])),
      el('div', { class: 'cards' }, sorted.map(card)),
      section('Partitions read here', parts.some(({ name, level: kafka }) => name === 'kafka' && (kafka === 'bad' || kafka === 'warn')) && el('p', { class: 'quiet' }, 'As they were when Kafka answered last.'), table('Partitions', [
        ['partition', ({ topic, partition }) => `${topic} / ${partition}`],
        ['status', ({ status }) => badge(STATUS_LEVEL[status], STATUS_WORDS[status])],
        ['records behind', ({ records }) => number(records), 'right'],
        ['oldest', ({ seconds }) => `${seconds.toFixed(1)} s`, 'right'],
        ['in two minutes', ({ trend }) => (trend === 0 ? '→ steady' : trend > 0 ? `↑ ${number(trend)} more` : `↓ ${number(-trend)} fewer`)],
      ], partitions, 'This instance owns no partition at the moment.')),
      section('Connections', table('Connections', [
        ['pool', ({ name }) => name],
        ['used', ({ used, max }) => `${used} of ${max}`, 'right'],
        ['', ({ name, used, max }) => el('meter', { min: 0, max, value: used, high: POOL_LINE * max, low: POOL_LINE * max, optimum: 0, 'aria-label': `${name}: ${used} of ${max}` })],
        ['80 % line', ({ max }) => Math.floor(POOL_LINE * max), 'right'],
        ['waiting', ({ waiting }) => waiting, 'right'],
      ], pools, 'This instance has no pools.')),
      el('p', { class: 'quiet' }, `version ${version}, roles ${roles.join(', ')}`),
    ];
  },
};

function card({ name, title, level, says, remedy, facts }) {
  return el('article', { class: `card ${level}` },
    el('h2', {}, PAGES.has(WHERE[name]) ? link(WHERE[name], title) : title, ' ', badge(level)),
    el('p', {}, says),
    remedy !== null && el('p', { class: 'remedy' }, 'What to do: ', prose(remedy)),
    facts.length > 0 && el('ul', {}, facts.map((fact) => el('li', { class: fact.level, title: fact.means }, el('span', {}, fact.name), ' ', el('strong', {}, typeof fact.value === 'number' ? number(fact.value) : fact.value), fact.level !== 'good' && [' ', badge(fact.level)], fact.level !== 'good' && fact.means !== null && el('small', {}, fact.means)))));
}
