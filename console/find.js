import { el } from './dom.js';

const ADDRESS = {
  user: ({ user_id: user }) => `#/users/${user}`,
  purchase: ({ purchase_id: purchase, user_id: user }) => `#/sagas/${purchase}?user=${user}`,
  event: ({ user_id: user, item_id: item }) => `#/users/${user}/items/${item}`,
  item: ({ user_id: user, item_id: item }) => `#/users/${user}/items/${item}`,
};
const WORDS = { user: 'user', purchase: 'sale of user', event: 'event of an item of user', item: 'item of user' };
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** An address may have been typed by hand. */
function written(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

/** One hit is gone to; several are offered. */
export const find = {
  title: ({ id }) => `Find ${written(id)}`,
  ask: ({ id }) => (ID.test(written(id)) ? `/find/${id}` : []),
  render(answer, { id }) {
    const wanted = written(id);
    const heading = el('h1', {}, 'Find ', el('code', {}, wanted));
    if (Array.isArray(answer)) return [heading, el('p', {}, 'That is no id: ids are 32 hexadecimal digits with dashes, for example 0197a3c2-0000-7000-8000-000000000001.')];
    const { found } = answer;
    if (found.length === 1) location.replace(ADDRESS[found[0].kind](found[0]));
    if (found.length === 0) return [heading, el('p', {}, 'No user, purchase, event or item here has this id.')];
    return [heading, el('ul', {}, found.map((hit) => el('li', {}, el('a', { href: ADDRESS[hit.kind](hit) }, `${WORDS[hit.kind]} ${hit.user_id}`))))];
  },
};
