// The API of the server this page came from. The token lives in this tab, and ends with it.

const KEY = 'brx-sync-token';
export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);
export const hasToken = () => sessionStorage.getItem(KEY) !== null;

/** Longer than any answer of the server takes, but for what is said to take longer. */
const PATIENCE_MS = 10_000;

/** An answer that is no success, in the server's words; `status` 0: there was none. */
export class Failure extends Error {
  constructor({ status, detail, remedy }) {
    super(detail);
    this.status = status;
    this.remedy = remedy;
  }
}

export async function ask(path, { method = 'GET', body, patience = PATIENCE_MS } = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...(token !== null && { authorization: `Bearer ${token}` }), ...(body !== undefined && { 'content-type': 'application/json' }) };
  let response;
  try {
    response = await fetch(path, { method, headers, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(patience), ...(body !== undefined && { body: JSON.stringify(body) }) });
  } catch {
    throw new Failure({ status: 0, detail: 'this instance of BRX Sync does not answer', remedy: 'see whether it runs; this page asks again by itself' });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Failure({ status: response.status, detail: answer.detail ?? `answered ${response.status}`, remedy: answer.remedy });
}
