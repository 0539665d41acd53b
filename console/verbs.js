import { ask, Failure } from './api.js';
import { badge, el, prose } from './dom.js';

/** Why nothing can be changed here, or null. `how`: the command that can. */
export const readOnly = (writable, how) => (writable ? null : { problem: 'this instance is read-only: it has no token', remedy: `set BRX_HTTP_TOKEN, or use ${how}` });

/** Buttons, each `{ key, name, about, refusal, act, plain }`: one that cannot be used says why, to eyes and to screen readers. */
export function verbs(list) {
  return el('ul', { class: 'verbs' }, list.map(({ key, name, about, refusal, act, plain }) => {
    const id = `why-${key}`;
    const button = el('button', { type: 'button', class: plain ? 'plain' : undefined, disabled: refusal !== null, 'aria-describedby': id, onclick: act }, name);
    return el('li', {}, button, el('span', { id }, refusal === null ? about : [el('strong', {}, 'Not now: '), prose(refusal.problem), refusal.remedy ? [' (', prose(refusal.remedy), ')'] : '']));
  }));
}

/** What a field of a dialog holds. */
const valueOf = (input) => (input.type === 'checkbox' ? input.checked : input.value);

function field({ key, label, kind = 'text', options = [], value, hint }) {
  const id = `field-${key}`;
  if (kind === 'checkbox') return el('p', {}, el('label', { class: 'check' }, el('input', { id, name: key, type: 'checkbox', checked: value }), ` ${label}`), hint && el('small', { class: 'quiet' }, hint));
  const input = kind === 'select' ? el('select', { id, name: key }, options.map(([option, words]) => el('option', { value: option, selected: option === value }, words))) : el('input', { id, name: key, value, autocomplete: 'off' });
  return el('p', {}, el('label', { for: id }, label), input, hint && el('small', { class: 'quiet' }, hint));
}

/**
 * Nothing is done without a reason, and what was refused is told where it was asked. `type`: what has to be typed first, so that nobody does it in passing.
 * `send` is given the reason and the fields, and answers a path and a body; `done` what came of it; `remember` the reason, if more is to be done with it.
 */
export function askWhy({ name, about, fields = [], type, send, patience, remember, done }) {
  const reason = el('input', { id: 'reason', required: true, maxlength: 500, autocomplete: 'off' });
  const typed = type === undefined ? undefined : el('input', { id: 'typed', required: true, autocomplete: 'off', spellcheck: 'false', oninput: () => typed.setCustomValidity(typed.value === type ? '' : `type ${type}`) });
  typed?.setCustomValidity(`type ${type}`);
  const answer = el('p', { role: 'alert' });
  const go = el('button', {}, name);
  const close = () => dialog.close();
  const rows = fields.map(field);
  const form = el('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      answer.replaceChildren(patience === undefined ? '' : 'this takes some seconds …');
      try {
        const values = Object.fromEntries([...form.querySelectorAll('[name]')].map((input) => [input.name, valueOf(input)]));
        const { path, body } = send({ reason: reason.value, ...values });
        const came = await ask(path, { method: 'POST', body, patience });
        remember?.(reason.value);
        close();
        done(came);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        answer.replaceChildren(badge('bad', 'not done'), ' ', error.message, '. ', ...prose(error.remedy));
        go.disabled = false;
      }
    },
  }, el('h2', {}, name), el('p', {}, about), rows, el('p', {}, el('label', { for: 'reason' }, 'Why, for the record'), reason), typed && el('p', {}, el('label', { for: 'typed' }, 'To be sure, type ', el('code', {}, type)), typed), answer, el('p', { class: 'filters' }, go, el('button', { type: 'button', class: 'plain', onclick: close }, 'Leave it')));
  const dialog = el('dialog', { 'aria-label': name, onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
  (rows.length > 0 ? form.querySelector('[name]') : reason).focus();
}

/** What operators did, oldest first. */
export function actions(list) {
  if (list.length === 0) return el('p', { class: 'empty' }, 'Nothing yet.');
  return el('ol', { class: 'timeline' }, list.map(({ at, who, action, reason }) => el('li', {}, el('time', { datetime: at }, at.slice(0, 19).replace('T', ' ')), el('span', { class: 'quiet' }, who), el('span', {}, action, ` (“${reason}”)`))));
}
