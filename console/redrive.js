import { ask, Failure } from './api.js';
import { badge, el, link, number, prose, section, table, userLink } from './dom.js';
import { letterLink, pretty } from './letters.js';
import { askWhy, readOnly, verbs } from './verbs.js';

const WELL = ['ok', 'stale', 'rejected', 'duplicate'];
const LEVEL = { dead: 'bad', parked: 'bad', handled: 'warn', too_old: 'warn', superseded: 'warn', unfit: 'warn', sent: 'unknown', would_send: 'good' };
const WORDS = { ok: 'took effect', stale: 'stale, no effect', rejected: 'its purchase was rejected', parked: 'waits with its parked user', dead: 'dead again', sent: 'sent, nothing shows yet', would_send: 'would be sent', handled: 'somebody else was quicker', duplicate: 'known already', too_old: 'too old', superseded: 'superseded', unfit: 'refused as before' };
const MOST_SHOWN = 200;
const MOST_A_REQUEST = 200;
/** A request of the server takes this long at most, so that a rate is kept and a stop is soon. */
const STEP_SECONDS = 2;
const LOOK_AGAIN_MS = 1_000;
/** So long nothing new has shown: the rest is left, and can be looked at on its own pages. */
const PATIENCE_MS = 30_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Which ones an address means: chosen ones, or a filter. */
function whichOf(query) {
  const which = {};
  if (query.has('ids')) which.ids = query.get('ids').split(',').filter((id) => id !== '');
  if (query.has('cause')) which.cause = [query.get('cause')];
  if (query.has('user')) which.user = query.get('user');
  if (query.has('event')) which.event = query.get('event');
  return which;
}

export const redrive = {
  title: () => 'Redrive',
  isStill: true,
  ask: (_, query) => ['/overview', ...(query.get('ids')?.match(/^\d+$/) ? [`/dead-letters/${query.get('ids')}`] : [])],
  keep: ([{ writable }, letter]) => ({ writable, letter }),
  render: ({ writable, letter }, _params, query) => run(whichOf(query), writable, letter),
};

/** Dry run, then exactly what it has shown is sent, or given up. Leaving the page stops what is not sent yet. */
function run(which, writable, letter) {
  const one = letter !== undefined && letter.state === 'open' ? letter : undefined;
  const rate = el('input', { id: 'rate', type: 'number', min: 1, max: 100_000, value: 50 });
  const most = el('input', { id: 'most', type: 'number', min: 1, max: 100_000, value: 1_000 });
  const anyway = el('input', { id: 'anyway', type: 'checkbox' });
  const value = one !== undefined && one.value !== null && el('textarea', { id: 'value', rows: 14, spellcheck: 'false' });
  if (value) value.value = JSON.stringify(one.value, null, 2);
  const was = value ? value.value : '';
  const buttons = el('div', {});
  const status = el('p', { role: 'status' });
  const list = el('div', {});
  const results = new Map();
  let state = 'new'; // new, looking, looked, busy, over
  let stopped = false;

  const corrected = () => (value && value.value !== was ? { value: JSON.parse(value.value), ...(one.record !== null && { record: one.record }) } : {});
  const going = () => [...results.values()].filter(({ outcome }) => outcome === 'would_send').map(({ id }) => id);
  const forget = () => {
    if (state === 'looked') state = 'new';
    draw();
  };
  for (const input of [anyway, most, value]) if (input) input.addEventListener('input', forget);

  function draw() {
    const busy = state === 'busy' || state === 'looking' ? { problem: 'it is at work' } : null;
    const first = state === 'looked' ? null : { problem: state === 'over' ? 'it is done; a dry run tells how they stand now' : 'the dry run comes first: exactly what it shows is sent' };
    const n = going().length;
    const all = [...results.keys()];
    const refusal = readOnly(writable, '`brx-sync dlq redrive`') ?? busy;
    buttons.replaceChildren(verbs([
      { key: 'dry-run', name: 'Dry run', about: 'Tell what would come of each; nothing is sent.', refusal, act: () => void guarded(look) },
      { key: 'send', name: state === 'looked' ? `Send ${number(n)} again` : 'Send again', about: 'To their topic, with their key, headers and id, each once.', refusal: refusal ?? first ?? (n === 0 ? { problem: 'none of them would be sent', remedy: 'see why in the list' } : null), act: confirmSend },
      { key: 'discard', name: state === 'looked' ? `Give ${number(all.length)} up` : 'Give up', about: 'They are kept, and not sent again.', refusal: refusal ?? first ?? (all.length === 0 ? { problem: 'there are none' } : null), act: confirmDiscard },
      ...(state === 'busy' ? [{ key: 'stop', name: 'Stop', about: 'Send no more; what is sent stays sent.', refusal: null, act: () => (stopped = true) }] : []),
    ]));
    const sorted = [...results.values()].toSorted((a, b) => WELL.includes(a.outcome) - WELL.includes(b.outcome));
    const counts = new Map();
    for (const { outcome } of sorted) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    list.replaceChildren(...(sorted.length === 0 ? [] : [section(state === 'looked' || state === 'looking' ? 'What would come of each' : 'What came of each',
      el('ul', { class: 'sums' }, [...counts].map(([outcome, count]) => el('li', {}, el('strong', {}, number(count)), ` ${WORDS[outcome]}`))),
      table('Results, what needs somebody first', [
        ['dead letter', ({ id }) => letterLink(id)],
        ['result', ({ outcome }) => badge(WELL.includes(outcome) ? 'good' : (LEVEL[outcome] ?? 'unknown'), WORDS[outcome])],
        ['was', ({ was: reason }) => reason.replaceAll('_', ' ')],
        ['user', ({ user_id: user }) => (user === null ? '' : userLink(user))],
        ['detail', ({ detail, dead_letter: again }) => [again !== null && ['now dead letter ', letterLink(again), ': '], detail]],
      ], sorted.slice(0, MOST_SHOWN), ''),
      sorted.length > MOST_SHOWN && el('p', { class: 'quiet' }, `and ${number(sorted.length - MOST_SHOWN)} more`))]));
  }

  async function guarded(work) {
    try {
      await work();
    } catch (problem) {
      if (!(problem instanceof Failure) && !(problem instanceof SyntaxError)) throw problem;
      status.replaceChildren(badge('bad', 'stopped'), ' ', ...(problem instanceof SyntaxError ? [`the value is no JSON: ${problem.message}`] : [problem.message, '. ', ...prose(problem.remedy)]));
      state = state === 'busy' ? 'over' : 'new';
    }
    draw();
  }

  const post = (path, body) => ask(path, { method: 'POST', body, patience: 30_000 });
  const isHere = () => list.isConnected && !stopped;

  async function look() {
    [state, stopped] = ['looking', false];
    results.clear();
    draw();
    let after;
    let matching = 0;
    do {
      const answer = await post('/dead-letters/redrive', { ...which, ...corrected(), reason: 'dry run', dry_run: true, anyway: anyway.checked, limit: Math.min(500, Number(most.value) - results.size), ...(after !== null && after !== undefined && { after }) });
      for (const result of answer.results) results.set(result.id, result);
      after = answer.next_after;
      matching = answer.matching;
      status.textContent = `${number(results.size)} looked at`;
    } while (after !== null && results.size < Number(most.value) && isHere());
    status.textContent = results.size === 0 ? 'No open dead letter is like that: somebody may have sent them again or given them up.' : `${number(results.size)} of ${number(Math.max(matching, results.size))} looked at, oldest first; ${number(going().length)} would be sent. Nothing was done.`;
    state = 'looked';
  }

  function confirmSend() {
    const ids = going();
    askWhy({
      name: `Send ${number(ids.length)} again`,
      about: `At most ${rate.value} a second. Each keeps its id, so that nothing is applied twice.`,
      // The dialog only asks: what is sent is sent piece by piece, and told below.
      send: ({ reason }) => ({ path: '/dead-letters/redrive', body: { ids: ids.slice(0, 1), ...corrected(), reason, dry_run: false, anyway: anyway.checked } }),
      done: (answer) => void guarded(() => sendRest(ids, answer)),
      remember: (reason) => (why = reason),
    });
  }
  let why = '';

  async function sendRest(ids, answer) {
    [state, stopped] = ['busy', false];
    for (const result of answer.results) results.set(result.id, result);
    const perSecond = Math.max(1, Number(rate.value));
    const step = Math.max(1, Math.min(MOST_A_REQUEST, perSecond * STEP_SECONDS));
    let sent = 1;
    while (sent < ids.length && isHere()) {
      const begun = performance.now();
      const some = ids.slice(sent, sent + step);
      const came = await post('/dead-letters/redrive', { ids: some, reason: why, dry_run: false, anyway: anyway.checked, limit: some.length, rate: perSecond });
      for (const result of came.results) results.set(result.id, result);
      for (const id of some) if (!came.results.some((result) => result.id === id)) results.set(id, { ...results.get(id), outcome: 'handled' });
      sent += some.length;
      await outcomes();
      status.textContent = `${number(sent)} of ${number(ids.length)} sent`;
      draw();
      const left = (some.length / perSecond) * 1_000 - (performance.now() - begun);
      if (left > 0 && sent < ids.length) await pause(left);
    }
    await settle();
    const open = waiting().length;
    status.textContent = `${number(sent)} of ${number(ids.length)} sent${stopped ? ', then stopped' : ''}.${open > 0 ? ` Of ${number(open)} nothing shows yet what became of them: see whether an instance with the roles relay and ingest runs.` : ''}`;
    state = 'over';
  }

  const waiting = () => [...results.values()].filter(({ outcome }) => outcome === 'sent').map(({ id }) => id);
  async function outcomes() {
    const ids = waiting();
    for (let from = 0; from < ids.length; from += MOST_A_REQUEST) {
      for (const result of (await ask(`/dead-letters/outcomes?ids=${ids.slice(from, from + MOST_A_REQUEST).join(',')}`)).results) results.set(result.id, result);
    }
    return ids.length - waiting().length;
  }
  async function settle() {
    for (let last = performance.now(); waiting().length > 0 && isHere() && performance.now() - last < PATIENCE_MS; ) {
      if ((await outcomes()) > 0) {
        last = performance.now();
        draw();
      }
      if (waiting().length > 0) await pause(LOOK_AGAIN_MS);
    }
  }

  function confirmDiscard() {
    const ids = [...results.keys()];
    askWhy({
      name: `Give ${number(ids.length)} up`,
      about: 'They are kept with your reason, and never sent again.',
      type: `give up ${ids.length}`,
      send: ({ reason }) => ({ path: '/dead-letters/discard', body: { ids: ids.slice(0, MOST_A_REQUEST), reason, dry_run: false, limit: MOST_A_REQUEST } }),
      remember: (reason) => (why = reason),
      done: ({ discarded }) => void guarded(async () => {
        state = 'busy';
        let gone = discarded.length;
        for (let from = MOST_A_REQUEST; from < ids.length && isHere(); from += MOST_A_REQUEST) gone += (await post('/dead-letters/discard', { ids: ids.slice(from, from + MOST_A_REQUEST), reason: why, dry_run: false, limit: MOST_A_REQUEST })).discarded.length;
        results.clear();
        state = 'over';
        status.replaceChildren(`${number(gone)} given up. `, link('#/dead-letters?state=discarded', 'They are kept here'));
      }),
    });
  }

  draw();
  const about = which.ids !== undefined ? [which.ids.length === 1 ? 'Dead letter ' : `${which.ids.length} dead letters: `, which.ids.slice(0, 20).flatMap((id, index) => [index > 0 && ', ', letterLink(id)]), which.ids.length > 20 && ', …'] : ['All open ones', which.cause && [' with the reason ', el('strong', {}, which.cause[0].replaceAll('_', ' '))], which.user && [' of ', userLink(which.user)], which.event && [' of event ', el('code', {}, which.event)], '.'];
  return [
    el('h1', {}, 'Redrive'),
    el('p', {}, about),
    letter !== undefined && [
      el('p', { class: 'standing' }, el('strong', {}, letter.reason.replaceAll('_', ' ')), ': ', letter.detail),
      value ? section('Correct it', el('p', { class: 'quiet' }, `What it says (${letter.record ?? 'of no known record'}). Sent as it is unless you change it; its event_id must stay. Judged by the contract.`), el('label', { for: 'value', class: 'hidden' }, 'Value as JSON'), value) : letter.value === null ? '' : pretty(letter.value),
    ],
    section('How', el('div', { class: 'filters' },
      el('label', { for: 'rate' }, 'a second ', rate),
      el('label', { for: 'most' }, 'at most ', most),
      el('label', { for: 'anyway', class: 'check' }, anyway, ' also what is superseded or was refused by this version')), buttons, status),
    list,
  ];
}
