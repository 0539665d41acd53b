import { badge, el, itemLink, link, number, prose, section, table, terms, time, userLink } from './dom.js';
import { askWhy, readOnly, verbs } from './verbs.js';

const LEVEL = { DONE: 'good', FAILED: 'bad', CANCELLED: 'unknown' };
const WORDS = { REQUESTED: 'waits for a dispatcher', EXPORTING: 'reads the export', APPLYING: 'under way', DONE: 'done', FAILED: 'failed', CANCELLED: 'called off' };
const MODES = [
  ['report', 'report: compare, change nothing'],
  ['adopt-remote', 'adopt-remote: what CardTrader has becomes the stock here'],
  ['push-local', 'push-local: what is here goes to CardTrader'],
];
const seconds = (n) => (n < 90 ? `${Math.ceil(n)} s` : `${Math.round(n / 60)} min`);
/** Nothing is left of it but parked chunks that are tried again later. */
const isRetrying = ({ next_try_at: next, chunks }) => next !== null && chunks.done + chunks.parked === chunks.all;
const stateBadge = (job) => [badge(isRetrying(job) || (job.state === 'DONE' && job.chunks.parked > 0) ? 'warn' : (LEVEL[job.state] ?? 'unknown'), isRetrying(job) ? 'tries again later' : WORDS[job.state]), job.waits !== null && [' ', badge('warn', `waits for ${job.waits.means}`)], job.problem !== null && ` ${job.problem.code.replaceAll('_', ' ')}`];
const modeOf = ({ mode, dry_run: dry, scheduled }) => `${mode}${dry ? ', dry run' : ''}${scheduled ? ', of the night' : ''}`;

function progress({ chunks, state }) {
  if (chunks.all === null) return state === 'EXPORTING' || state === 'REQUESTED' ? '' : 'nothing';
  const over = chunks.done + chunks.parked;
  return [el('meter', { min: 0, max: Math.max(1, chunks.all), value: over, 'aria-label': `${over} of ${chunks.all} chunks` }), ` ${over} of ${chunks.all}${chunks.parked > 0 ? `, ${chunks.parked} failed` : ''}`];
}
const pace = ({ products_per_second: rate, seconds_left: left }) => (rate === null ? '' : `${number(Math.round(rate))} products/s, ${seconds(left)} left`);

export const syncs = {
  title: (_, query) => (query.has('user') ? `Bulk syncs of ${query.get('user')}` : 'Bulk syncs'),
  ask: (_, query) => (query.has('user') ? [`/users/${query.get('user')}/syncs?limit=50`, '/overview', `/users/${query.get('user')}`] : ['/syncs?limit=50', '/overview']),
  keep: ([{ syncs: rows }, { writable }, user]) => ({ rows, writable, user }),
  render({ rows, writable, user }, _params, query, again) {
    const of = query.get('user');
    return [
      el('h1', {}, 'Bulk syncs', of !== null && [' of ', userLink(of)]),
      el('p', { class: 'quiet' }, 'A seller’s whole stock compared with CardTrader’s, imported from there or pushed to it. ', of === null && 'One is asked for on the page of its user.'),
      of !== null && section('What can be done', verbs([{ key: 'sync', name: 'Ask for one', about: 'Compare, import or push; a dispatcher does it.', refusal: readOnly(writable, '`brx-sync sync`') ?? mayNotStart(rows, user), act: () => start(of, user, again) }])),
      section(of === null ? 'The newest' : 'Under way and before', table('Bulk syncs, newest first', [
        ['asked for', ({ asked_at: at, job_id: job }) => link(`#/syncs/${job}`, time(at))],
        ['user', ({ user_id: id }) => userLink(id)],
        ['what', modeOf],
        ['state', stateBadge],
        ['chunks', progress],
        ['pace', pace],
        ['drifted', ({ drifted }) => (drifted === 0 ? '' : number(drifted)), 'right'],
        ['by', ({ asked_by: who }) => who],
      ], rows, 'There was none yet.')),
    ];
  },
};

function mayNotStart(rows, { account }) {
  if (account === null) return { problem: 'no account on CardTrader', remedy: '`brx-sync users add`' };
  if (account.status !== 'active') return { problem: `the account is ${account.status.replaceAll('_', ' ')}: CardTrader is not called for it`, remedy: 'resume it, or give it a new token with `brx-sync users add`' };
  if (rows.some((job) => job.ended_at === null && !isRetrying(job))) return { problem: 'one is under way', remedy: 'call it off, or wait for its end' };
  return null;
}

function start(user, { account }, again) {
  askWhy({
    name: 'Ask for a bulk sync',
    about: ['Of user ', el('code', {}, user), '.', !account.listing_sync && ' Listing sync is off, so push-local will be refused.'],
    fields: [
      { key: 'mode', label: 'What', kind: 'select', options: MODES, value: 'report' },
      { key: 'dry_run', label: 'Dry run: tell what would come of it, write no stock', kind: 'checkbox', value: true },
      { key: 'confirm_shrink', label: 'Believe an export with a tenth fewer products', kind: 'checkbox', value: false },
    ],
    send: ({ reason, mode, dry_run: dryRun, confirm_shrink: confirmShrink }) => ({ path: `/users/${user}/sync`, body: { reason, mode, dry_run: dryRun, confirm_shrink: confirmShrink } }),
    done: ({ job_id: job }) => {
      location.hash = `/syncs/${job}`;
      again();
    },
  });
}

export const sync = {
  title: ({ job }) => `Bulk sync ${job}`,
  ask: ({ job }) => [`/syncs/${job}?limit=200`, '/overview'],
  keep: ([found, { writable }]) => [found, writable],
  render([found, writable], { job }, _query, again) {
    const { user_id: user, problem, chunks } = found;
    const over = found.ended_at !== null;
    return [
      el('h1', {}, 'Bulk sync ', el('code', {}, job)),
      el('p', {}, stateBadge(found), ' of ', userLink(user), ' ', link(`#/syncs?user=${user}`, 'all of this user')),
      found.dry_run && el('p', { class: 'notice unknown' }, badge('unknown', 'dry run'), ' It tells what would come of it; no stock is written.'),
      problem !== null && el('div', { class: 'notice bad' }, badge('bad', problem.code.replaceAll('_', ' ')), el('p', {}, problem.detail), el('p', { class: 'remedy' }, 'What to do: ', prose(problem.remedy))),
      !over && found.state === 'REQUESTED' && !found.is_worked_on && el('p', { class: 'notice warn' }, badge('warn', 'waits'), ' Nobody is at work on it: a process with the role dispatcher must run.'),
      found.waits !== null && el('p', { class: 'notice warn' }, badge('warn', 'waits'), ` ${found.waits.chunks.length === 1 ? 'Chunk' : 'Chunks'} ${found.waits.chunks.join(', ')} for ${found.waits.means} since `, time(found.waits.since), `: ${found.waits.detail ?? ''}. It goes on by itself.`),
      terms([
        ['what', modeOf(found)],
        ['asked for', ['by ', found.asked_by, ', ', time(found.asked_at)]],
        ['export of', time(found.exported_at)],
        ['ended', found.ended_at === null ? 'no' : time(found.ended_at)],
        ['chunks', progress(found)],
        ['pace', over || isRetrying(found) ? undefined : pace(found) || 'not known yet'],
        ['on their way since', found.on_their_way_since === null ? undefined : time(found.on_their_way_since)],
        ['tried again', found.next_try_at === null ? undefined : time(found.next_try_at)],
        ['products', found.products === null ? 'not known yet' : number(found.products)],
        ['could not be read', found.unread === null ? undefined : found.unread],
      ]),
      section('What can be done', verbs([{ key: 'cancel', name: 'Call it off', about: 'What is applied by then stays.', refusal: readOnly(writable, '`brx-sync sync cancel`') ?? (over ? { problem: 'it has ended' } : null), act: () => askWhy({ name: 'Call it off', about: 'What is applied by then stays; another one can be asked for.', send: ({ reason }) => ({ path: `/syncs/${job}/cancel`, body: { reason } }), done: again }) }])),
      section(found.dry_run ? 'What would come of it' : 'What came of it', el('ul', { class: 'sums' }, [
        ['created', found.created], ['adopted', found.adopted], ['linked', found.linked], ['pushed', found.pushed], ['drifted', found.drifted], ['left alone', found.left_alone], ['the same', found.same], ['unmapped', found.unmapped],
      ].map(([name, n]) => el('li', {}, el('strong', {}, number(n)), ` ${name}`)))),
      section('Why', table('Causes', [
        ['products', ({ count }) => number(count), 'right'],
        ['came to', ({ kind }) => kind],
        ['because', ({ means }) => means],
      ], found.causes, over ? 'There is nothing to tell.' : 'Nothing yet.')),
      found.parked_chunks.length > 0 && section('Chunks PostgreSQL refused', table('Parked chunks', [
        ['chunk', ({ chunk }) => chunk, 'right'],
        ['products', ({ products }) => products, 'right'],
        ['tries', ({ tries }) => tries, 'right'],
        ['by itself', ({ retries, next_try_at: next }) => [retries === 0 ? '' : `${retries} times`, next === null ? '' : [retries === 0 ? 'at ' : ', again at ', time(next)]]],
        ['why', ({ reason }) => reason],
      ], found.parked_chunks, '')),
      section('Product by product', table('Findings', [
        ['came to', ({ kind, cause, means }) => el('span', { title: means }, `${kind} (${cause.replaceAll('_', ' ')})`)],
        ['product', ({ product_id: product, name }) => (product === null ? '' : `${product}${name === null ? '' : ` ${name}`}`)],
        ['item', ({ item_id: item }) => (item === null ? '' : itemLink(user, item))],
        ['here', ({ here }) => here ?? '', 'right'],
        ['there', ({ there }) => there ?? '', 'right'],
      ], found.findings, 'No product stands out.'), found.findings.length === 200 && el('p', { class: 'quiet' }, `Perhaps there are more: brx-sync sync show ${job} --limit 10000`)),
      chunks.parked > 0 && over && el('p', { class: 'remedy' }, 'What to do about chunks that were refused: mend the cause, then ask again; what is applied stays as it is.'),
    ];
  },
};

export const drift = {
  title: ({ user }) => `What differs for ${user}`,
  ask: ({ user }) => `/users/${user}/drift?limit=500&unconfirmed=true`,
  render({ drift: rows }, { user }) {
    return [
      el('h1', {}, 'What differs between here and CardTrader for ', userLink(user)),
      el('p', { class: 'quiet' }, 'As bulk syncs have found it, the nightly one too. Applied by ', el('code', {}, `brx-sync drift ${user} --apply`), '.'),
      table('Items of which here and CardTrader differ', [
        ['item', ({ item_id: item, subject }) => (item === null ? subject : itemLink(user, item))],
        ['product', ({ product_id: product, name }) => (product === null ? '' : `${product}${name === null ? '' : ` ${name}`}`)],
        ['here', ({ here }) => here ?? 'none', 'right'],
        ['there', ({ there }) => there ?? 'none', 'right'],
        ['why', ({ means }) => means],
        ['would mend it', ({ fix_means: means }) => prose(means)],
        ['seen', ({ confirmed, seen_at: at }) => [confirmed ? badge('warn', 'twice') : badge('unknown', 'once'), ' ', time(at)]],
      ], rows, 'Nothing differs, as far as any bulk sync has seen.'),
    ];
  },
};
