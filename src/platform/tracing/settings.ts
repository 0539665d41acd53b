/** How the receiver of spans is written in the environment. Pure. */

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Base URL of an OTLP/HTTP receiver, without a slash at its end. */
export function parseOtlpEndpoint(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return { ok: false, problem: 'must be a URL that starts with http:// or https://' };
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return { ok: false, problem: 'must be a plain URL: what the receiver asks for belongs in BRX_OTLP_HEADERS, which are kept secret' };
  return { ok: true, value: text.replace(/\/+$/, '') };
}

const PROBLEM = 'must be name=value, several separated by commas (a comma in a value is %2C, a space %20)';

/** As OpenTelemetry's own variable has them: name=value, several separated by commas, values percent-encoded. */
export function parseOtlpHeaders(text: string): Parsed<Readonly<Record<string, string>>> {
  const headers = new Map<string, string>();
  for (const part of text.split(',').map((each) => each.trim()).filter((each) => each !== '')) {
    const [, name, encoded = ''] = /^([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x21-\x7e]+)$/.exec(part) ?? [];
    const value = decoded(encoded);
    if (name === undefined || value === undefined) return { ok: false, problem: PROBLEM };
    headers.set(name.toLowerCase(), value);
  }
  return { ok: true, value: Object.fromEntries(headers) };
}

/** Undefined: it is not percent-encoding, or holds what no header may. */
function decoded(text: string): string | undefined {
  try {
    const value = decodeURIComponent(text);
    return /^[\x20-\x7e]+$/.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
