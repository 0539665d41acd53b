// Addresses to pages; what is shown is asked again every five seconds, and drawn again where it has changed.
import { ask, Failure, forgetToken, hasToken, keepToken } from './api.js';
import { badge, el, prose, time } from './dom.js';
import { health, PAGES } from './health.js';
import { find } from './find.js';
import { deadLetter, deadLetters } from './letters.js';
import { limits } from './limits.js';
import { parked, parkedUser } from './parked.js';
import { redrive } from './redrive.js';
import { replay, replayPlan, replays } from './replays.js';
import { saga, sagas } from './sagas.js';
import { drift, sync, syncs } from './syncs.js';
import { item, items, user, users } from './users.js';

const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const ROUTES = [
  [/^\/?$/, health],
  [/^\/find\/(?<id>.+)$/, find],
  [/^\/users$/, users],
  [/^\/limits$/, limits],
  [/^\/parked$/, parked],
  [new RegExp(`^/parked/(?<user>${UUID})$`), parkedUser],
  [/^\/dead-letters$/, deadLetters],
  [/^\/dead-letters\/(?<letter>\d+)$/, deadLetter],
  [/^\/redrive$/, redrive],
  [/^\/replays$/, replays],
  [/^\/replays\/plan$/, replayPlan],
  [/^\/replays\/(?<replay>\d+)$/, replay],
  [/^\/syncs$/, syncs],
  [new RegExp(`^/syncs/(?<job>${UUID})$`), sync],
  [/^\/sagas$/, sagas],
  [new RegExp(`^/sagas/(?<purchase>${UUID})$`), saga],
  [new RegExp(`^/users/(?<user>${UUID})$`), user],
  [new RegExp(`^/users/(?<user>${UUID})/drift$`), drift],
  [new RegExp(`^/users/(?<user>${UUID})/items$`), items],
  [new RegExp(`^/users/(?<user>${UUID})/items/(?<item>${UUID})$`), item],
];
for (const path of ['#/users', '#/sagas', '#/parked', '#/dead-letters', '#/limits', '#/replays']) PAGES.add(path);

const POLL_MS = 5_000;
const main = document.getElementById('main');
const fresh = document.getElementById('fresh');
const search = document.getElementById('search');
const searchId = document.getElementById('search-id');

/** What is shown: of which address, drawn from what, as of when. */
let shown = { address: undefined, text: undefined, at: undefined };
let turn = 0;
let timer;

function place() {
  const [path = '', query = ''] = location.hash.replace(/^#/, '').split('?', 2);
  for (const [pattern, page] of ROUTES) {
    const match = pattern.exec(path);
    if (match !== null) return { page, params: match.groups ?? {}, query: new URLSearchParams(query) };
  }
  return undefined;
}

async function show() {
  clearTimeout(timer);
  const mine = (turn += 1);
  const address = location.hash;
  const isNew = shown.address !== address;
  const found = place();
  for (const link of document.querySelectorAll('nav a')) {
    const [here] = address.split('?');
    const is = link.hash === '#/' ? here === '' || here === '#/' : here.startsWith(link.hash);
    if (is) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (found === undefined) return draw({ address, text: '' }, 'Not found', [el('h1', {}, 'There is no such page'), el('p', {}, el('a', { href: '#/' }, 'Health'))]);
  const { page, params, query } = found;
  const title = page.title(params, query);
  let isAnswered = false;
  if (isNew) draw({ address, text: undefined }, title, [el('p', { class: 'empty' }, 'asking …')]);
  try {
    const paths = [page.ask(params, query)].flat();
    const answers = await Promise.all(paths.map((path) => ask(path, { patience: page.patience })));
    if (mine !== turn) return;
    const all = Array.isArray(page.ask(params, query)) ? answers : answers[0];
    const data = page.keep === undefined ? all : page.keep(all);
    const text = JSON.stringify(data);
    if (text !== shown.text && !isBusy()) draw({ address, text, at: Date.now() }, title, page.render(data, params, query, show));
    else shown.at = Date.now();
    isAnswered = true;
    say(undefined, page.isStill);
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof Failure)) throw error;
    failed(error, title, address);
  } finally {
    if (mine === turn && !(page.isStill && isAnswered)) timer = setTimeout(() => void (document.hidden || show()), POLL_MS);
  }
}

/** Somebody chooses or types where it would be drawn anew. */
const isBusy = () => main.contains(document.activeElement) && document.activeElement.matches('select, textarea, input:not([type="checkbox"])');

function draw(next, title, nodes) {
  const moved = shown.address !== undefined && shown.address !== next.address;
  const focused = main.contains(document.activeElement) ? selectorOf(document.activeElement) : null;
  shown = next;
  document.title = `${title} · BRX Sync`;
  main.replaceChildren(...nodes.flat().filter((node) => node !== false && node !== null && node !== undefined));
  if (moved) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  } else if (focused !== null) main.querySelector(focused)?.focus({ preventScroll: true });
}

/** What is in the place of a link or a button once it is drawn anew. */
function selectorOf(element) {
  const [name] = ['href', 'aria-describedby', 'id'].filter((one) => element.hasAttribute(one));
  return name === undefined ? null : `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
}

function say(problem, isStill = false) {
  fresh.className = problem === undefined ? '' : 'stale';
  const as = shown.at === undefined ? [] : ['as of ', time(shown.at), isStill ? ' UTC, not asked again by itself' : ' UTC, asked again every 5 s'];
  fresh.replaceChildren(...(problem === undefined ? as : [badge('bad', 'not fresh'), ` ${problem.message}. `, ...prose(problem.remedy), ' ', ...(as.length === 0 ? [] : ['What is shown is ', ...as, '.'])]));
}

function failed(error, title, address) {
  if (error.status === 401) {
    say();
    if (document.getElementById('token') === null) draw({ address, text: undefined }, 'Token', tokenForm());
    return;
  }
  if (shown.text !== undefined && error.status !== 404) return say(error);
  fresh.replaceChildren();
  draw({ address, text: undefined }, title, [el('h1', {}, title), el('div', { class: `notice ${error.status === 404 ? 'unknown' : 'bad'}` }, badge(error.status === 404 ? 'unknown' : 'bad', error.status === 404 ? 'not here' : 'no answer'), el('p', {}, error.message), error.remedy !== undefined && el('p', { class: 'remedy' }, 'What to do: ', prose(error.remedy)))]);
}

function tokenForm() {
  const wrong = hasToken();
  forgetToken();
  const input = el('input', { id: 'token', type: 'password', autocomplete: 'off', required: true, 'aria-describedby': 'token-about' });
  const form = el('form', {
    class: 'token',
    onsubmit: (event) => {
      event.preventDefault();
      keepToken(input.value);
      input.blur();
      shown = { address: undefined };
      void show();
    },
  }, el('label', { for: 'token' }, 'Token'), input, el('button', {}, 'Look'));
  return [el('h1', {}, 'A token is needed'), wrong && el('p', { class: 'notice bad', role: 'alert' }, badge('bad', 'wrong'), ' That was not it.'), el('p', { id: 'token-about' }, 'BRX_HTTP_TOKEN of this instance. It is kept in this tab only, and forgotten with it.'), form];
}

search.addEventListener('submit', (event) => {
  event.preventDefault();
  const id = searchId.value.trim().toLowerCase();
  searchId.value = '';
  searchId.blur();
  if (id !== '') location.hash = `/find/${encodeURIComponent(id)}`;
});
document.addEventListener('keydown', (event) => {
  const typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(document.activeElement?.tagName ?? '');
  if ((event.key === '/' && !typing) || (event.key === 'k' && (event.ctrlKey || event.metaKey))) {
    event.preventDefault();
    searchId.focus();
    searchId.select();
  } else if (event.key === 'Escape' && document.activeElement === searchId) main.focus();
});
window.addEventListener('hashchange', () => void show());
document.addEventListener('visibilitychange', () => void (document.hidden || place()?.page.isStill === true ? undefined : show()));
void show();
