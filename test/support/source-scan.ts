/**
 * Just enough of TypeScript's grammar to check rules over source text: where comments, strings and imports are. It is fast (the
 * whole of src in a few milliseconds), needs no compiler, and works on files that exist only in a test.
 */
export interface Scan {
  /** The text with comments and the insides of strings blanked; same length, same lines. */
  code: string;
  /** Plain strings, and each stretch of text of a template. `first` is false for a stretch after a `${}`. */
  strings: readonly { at: number; value: string; first: boolean }[];
  comments: readonly { at: number; value: string }[];
  imports: readonly Import[];
}

export interface Import {
  specifier: string;
  /** `value` runs the module when this one is loaded; `type` leaves no trace; `dynamic` is `import()`. */
  kind: 'value' | 'type' | 'dynamic';
  at: number;
}

export function scan(text: string): Scan {
  const { code, strings, comments } = split(text);
  const imports: Import[] = [];
  const find = (pattern: RegExp, kind: (match: RegExpMatchArray) => Import['kind']): void => {
    for (const match of code.matchAll(pattern)) {
      const quote = match.index + match[0].length - 1;
      imports.push({ specifier: text.slice(quote + 1, text.indexOf(text[quote] ?? '', quote + 1)), kind: kind(match), at: match.index });
    }
  };
  find(/(?<![.\w])(?:import|export)\b(\s+type\b(?!\s+from\b|\s*,))?(?:[^;'"`()=]*?\bfrom)?\s*['"]/g, (match) => (match[1] === undefined ? 'value' : 'type'));
  find(/(?<![.\w])import\s*\(\s*['"]/g, () => 'dynamic');
  return { code, strings, comments, imports: imports.sort((a, b) => a.at - b.at) };
}

/** 1-based. */
export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

/** A `/` after one of these starts a regular expression, after anything else it divides. */
const BEFORE_REGEX = /(?:^|[([{,;=:!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield))\s*$/;

function split(text: string): Pick<Scan, 'code' | 'strings' | 'comments'> {
  const strings: { at: number; value: string; first: boolean }[] = [];
  const comments: { at: number; value: string }[] = [];
  const code = text.split('');
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (code[at] !== '\n') code[at] = ' ';
  };
  /** Braces open inside each `${` we are in; a `}` at depth 0 goes back to the template's text. */
  const templates: number[] = [];
  let at = 0;

  /** Reads to the unescaped end of what starts at `at`; returns where it ends. */
  const until = (ends: (at: number) => boolean): number => {
    let end = at + 1;
    while (end < text.length && !ends(end)) end += text[end] === '\\' ? 2 : 1;
    return Math.min(end, text.length);
  };
  const templateText = (first: boolean): void => {
    const end = until((i) => text[i] === '`' || (text[i] === '$' && text[i + 1] === '{'));
    strings.push({ at, value: text.slice(at + 1, end), first });
    blank(at + 1, end);
    if (text[end] === '$') {
      templates.push(0);
      at = end + 2;
    } else {
      at = end + 1;
    }
  };

  while (at < text.length) {
    const char = text[at];
    const depth = templates.at(-1);
    if (char === '/' && (text[at + 1] === '/' || text[at + 1] === '*')) {
      const end = text[at + 1] === '/' ? indexOrEnd(text, '\n', at) : indexOrEnd(text, '*/', at + 2) + 2;
      comments.push({ at, value: text.slice(at, end) });
      blank(at, end);
      at = end;
    } else if (char === "'" || char === '"') {
      const end = until((i) => text[i] === char || text[i] === '\n');
      strings.push({ at, value: text.slice(at + 1, end), first: true });
      blank(at + 1, end);
      at = end + 1;
    } else if (char === '`') {
      templateText(true);
    } else if (char === '/' && BEFORE_REGEX.test(code.slice(Math.max(0, at - 80), at).join(''))) {
      let inClass = false;
      const end = until((i) => {
        if (text[i] === '[') inClass = true;
        if (text[i] === ']') inClass = false;
        return text[i] === '\n' || (text[i] === '/' && !inClass);
      });
      blank(at + 1, end);
      at = end + 1;
    } else if (depth !== undefined && char === '}' && depth === 0) {
      templates.pop();
      templateText(false);
    } else {
      if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && char === '}') templates[templates.length - 1] = depth - 1;
      at += 1;
    }
  }
  return { code: code.join(''), strings, comments };
}

function indexOrEnd(text: string, what: string, from: number): number {
  const index = text.indexOf(what, from);
  return index === -1 ? text.length : index;
}
