import { badge, el, number, prose, table, userLink } from './dom.js';

/** How much of a limit is used, as a bar with its number. */
export function use({ used, limit, full }, of) {
  return [el('meter', { min: 0, max: full, value: used, 'aria-label': `${of}: ${used} of ${limit}` }), ` ${used} of ${limit}`];
}

/** What a 429 has done to a seller, if it has. */
export function heldUp({ paused_seconds: paused, limit, full }) {
  if (paused > 0) return badge('warn', `paused for ${paused.toFixed(1)} s after a 429`);
  return limit < full ? badge('warn', `lowered from ${full}, comes back by steps`) : '';
}

export const COUNTED = { shared: 'by all processes together, in Redis', local: 'by each process alone, at a share of the limit' };

export const limits = {
  title: () => 'Limit of CardTrader',
  ask: () => '/limits?limit=100',
  render({ level, says, remedy, counted, silent_seconds: silent, window_seconds: windowSeconds, calls, waiting, active, sellers }) {
    return [
      el('h1', {}, 'Limit of CardTrader ', badge(level)),
      el('p', {}, says),
      remedy !== null && el('p', { class: 'remedy' }, 'What to do: ', prose(remedy)),
      level !== 'unknown' && el('p', { class: 'quiet' }, `Requests in the last ${windowSeconds} s, counted ${COUNTED[counted]}. ${silent > 0 ? `Nothing is sent for ${silent.toFixed(1)} s. ` : ''}${calls ? `In this process ${number(waiting.requests)} requests of ${number(waiting.sellers)} sellers wait for their turn.` : 'This process calls nobody: requests that wait are told by one with the role dispatcher.'}`),
      table('Sellers, those held up first, then the busiest', [
        ['seller', ({ user_id: user }) => userLink(user)],
        ['used', (one) => use(one, one.user_id)],
        ['held up', heldUp],
      ], sellers, level === 'unknown' ? 'Not known here.' : 'Nobody was called on CardTrader in the last minutes.'),
      active > sellers.length && el('p', { class: 'quiet' }, `${number(active)} sellers were called in the last minutes; these are the ${sellers.length} with most use.`),
    ];
  },
};
