// What pages are made of. Data becomes text nodes and attributes, never markup: whatever somebody writes into a name shows as it is.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

const WORDS = { good: 'good', unknown: 'not known', warn: 'look', bad: 'wrong' };
/** Colour and word: a colour alone says nothing to many. */
export const badge = (level, words = WORDS[level]) => el('span', { class: `badge ${level}` }, words);

/** A sentence of ours: what stands between backquotes is a command. */
export const prose = (text) => String(text ?? '').split('`').map((piece, index) => (index % 2 === 0 ? piece : el('code', {}, piece)));

export const link = (href, text) => el('a', { href }, text);
export const code = (text) => el('code', {}, text ?? '');
export const userLink = (id) => el('a', { href: `#/users/${id}`, class: 'id' }, id);
export const itemLink = (user, item) => el('a', { href: `#/users/${user}/items/${item}`, class: 'id' }, item);

const pad = (n) => String(n).padStart(2, '0');
/** UTC, as everything here is. */
export function time(iso) {
  if (iso === null || iso === undefined) return 'never';
  const at = new Date(iso);
  return el('time', { datetime: at.toISOString(), title: at.toISOString() }, `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())} ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`);
}

export const money = (cents, currency) => (cents === null || cents === undefined ? '' : `${(cents / 100).toFixed(2)} ${currency ?? ''}`.trim());
export const number = (n) => n.toLocaleString('en');

/** One box, so that on a phone a cell is its title and what stands beside it. */
const inline = (content) => (content === '' || content === null || content === undefined ? '' : el('span', {}, content));

/** Columns are `[title, row => content, class?]`; on a phone each row is a card whose lines have these titles. */
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'empty' }, empty);
  const head = el('tr', {}, columns.map(([title, , kind]) => el('th', { scope: 'col', class: kind }, title)));
  const body = rows.map((row) => el('tr', {}, columns.map(([title, content, kind]) => el('td', { 'data-label': title, class: kind }, inline(content(row))))));
  return el('div', { class: 'scroll' }, el('table', {}, el('caption', { class: 'hidden' }, caption), el('thead', {}, head), el('tbody', {}, body)));
}

/** Terms and what they are; undefined is left out. */
export function terms(pairs) {
  return el('dl', {}, pairs.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

export const section = (title, ...children) => el('section', {}, el('h2', {}, title), children);

/** An address with its parameters, if there are any. */
export const withQuery = (path, query) => (query.size === 0 ? path : `${path}?${query}`);

/** A way to what follows, and back to the beginning: pages of a list have addresses. */
export function pager(path, query, next) {
  const address = (cursor) => {
    const parameters = new URLSearchParams(query);
    if (cursor === null) parameters.delete('cursor');
    else parameters.set('cursor', cursor);
    return `#${withQuery(path, parameters)}`;
  };
  return el('p', { class: 'pager' }, query.has('cursor') && link(address(null), '« first page'), next !== null && link(address(next), 'next page »'));
}

/** A choice that is part of the address. */
export function choice(label, name, values, path, query, none = 'all') {
  const select = el('select', {
    id: `choose-${name}`,
    onchange: () => {
      const parameters = new URLSearchParams(query);
      parameters.delete('cursor');
      if (select.value === '') parameters.delete(name);
      else parameters.set(name, select.value);
      location.hash = withQuery(path, parameters);
    },
  }, el('option', { value: '' }, none), values.map((value) => el('option', { value, selected: query.get(name) === value }, value.replaceAll('_', ' ').toLowerCase())));
  return el('label', { for: `choose-${name}` }, `${label} `, select);
}
