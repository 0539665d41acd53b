/**
 * The bodies CardTrader (or what stands before it) sends with an error, read into one shape. Pure. Five are known (cardtrader.md section 5):
 *
 *   {error_code, errors: [] | {field: [texts]}, extra: {message}, request_id}
 *   {errors: ["text"]}    {errors: [{field: "text"}]}    {error: "text"}    an HTML page
 */
export interface ErrorBody {
  /** `json`: one of the four JSON shapes, so the API itself spoke. */
  readonly kind: 'json' | 'html' | 'other';
  readonly code: string | null;
  readonly message: string;
  readonly fields: readonly Notice[];
  readonly requestId: string | null;
}

/** A text about a field; the field of a nested one has its path, `properties.condition`. Empty when the text stands alone. */
export interface Notice {
  readonly field: string;
  readonly message: string;
}

export function readErrorBody(text: string): ErrorBody {
  const value = parsed(text);
  if (isObject(value)) {
    const fields = readNotices(value['errors']);
    const code = textOf(value['error_code']);
    const said = textOf(isObject(value['extra']) ? value['extra']['message'] : undefined) ?? textOf(value['error']) ?? textOf(value['message']);
    const message = said ?? noticesText(fields);
    if (code !== null || said !== null || fields.length > 0) return { kind: 'json', code, message: message === '' ? (code ?? '') : message, fields, requestId: textOf(value['request_id']) };
  }
  const html = /<(?:!doctype|html|head|body|title|h1|p)\b/i.test(text);
  return { kind: html ? 'html' : 'other', code: null, message: html ? htmlMessage(text) : text.slice(0, 500), fields: [], requestId: null };
}

const MAX_NOTICES = 50;
const MAX_DEPTH = 10;

/**
 * Errors or warnings as a flat list. They come as `{}`, `[]`, `{field: [texts]}`, `{field: text}`, `{properties: {field: [texts]}}`, `[texts]`
 * or `[{field: text}]`; what is none of these adds nothing. At most 50.
 */
export function readNotices(value: unknown): Notice[] {
  const notices: Notice[] = [];
  // Lists count as well: 64 KiB of brackets are deeper than the stack.
  const walk = (inner: unknown, path: readonly string[], depth: number): void => {
    if (notices.length >= MAX_NOTICES || depth > MAX_DEPTH) return;
    if (typeof inner === 'string') notices.push({ field: path.join('.'), message: inner });
    else if (Array.isArray(inner)) for (const each of inner) walk(each, path, depth + 1);
    else if (isObject(inner)) for (const [key, each] of Object.entries(inner)) walk(each, [...path, key], depth + 1);
  };
  walk(value, [], 0);
  return notices;
}

/** For people. */
export const noticesText = (notices: readonly Notice[]): string => notices.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`)).join('; ');

/** The first of `<p>`, `<h1>`, `<title>` that says something, near the beginning: the pattern's time grows with the square of the text. */
function htmlMessage(whole: string): string {
  const page = whole.slice(0, 8_192);
  for (const tag of ['p', 'h1', 'title']) {
    for (const match of page.matchAll(new RegExp(`<${tag}\\b[^>]*>([^]*?)</${tag}>`, 'gi'))) {
      const text = (match[1] ?? '').replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ').trim();
      if (text !== '') return text;
    }
  }
  return 'an HTML page';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // not JSON: an HTML page, or nothing
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
