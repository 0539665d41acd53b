/** One statement of a file: its text without what surrounds it, and the line (from 1) it starts on. */
export interface SqlStatement {
  sql: string;
  line: number;
}

// In the order they are tried at each position. A quote, comment or dollar quote that never ends runs to the end of the file.
const TOKENS = /--[^\n]*|\/\*|[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|(?<![\w$])(\$(?:[A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*)?\$)|[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*|;/gsy;

/**
 * Cuts a migration into its statements, so that a failure can name the one it happened in. Knows strings, quoted names, dollar
 * quotes, nested comments and the semicolons inside a BEGIN ATOMIC body; assumes standard_conforming_strings (the default).
 */
export function splitStatements(text: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let start: number | undefined; // of the statement being read, at its first token that is no comment
  let atomicDepth = 0;
  let previousWord = '';
  let position = 0;
  const finish = (end: number): void => {
    if (start !== undefined) statements.push({ sql: text.slice(start, end).trimEnd(), line: lineAt(text, start) });
    start = undefined;
    atomicDepth = 0;
    previousWord = '';
  };

  while (position < text.length) {
    TOKENS.lastIndex = position;
    const match = TOKENS.exec(text);
    const token = match?.[0] ?? text.charAt(position);
    if (token.startsWith('--')) {
      position += token.length;
    } else if (token === '/*') {
      position = endOfComment(text, position);
    } else if (token === ';' && atomicDepth === 0) {
      finish(position);
      position += 1;
    } else {
      if (start === undefined && token.trim() !== '') start = position;
      const dollar = match?.[1];
      if (dollar !== undefined) {
        const end = text.indexOf(dollar, position + dollar.length);
        position = end === -1 ? text.length : end + dollar.length;
        continue;
      }
      position += token.length;
      if (!/^\w/.test(token)) continue;
      const word = token.toUpperCase();
      if (word === 'ATOMIC' && previousWord === 'BEGIN') atomicDepth = 1;
      else if (word === 'CASE' && atomicDepth > 0) atomicDepth += 1;
      else if (word === 'END' && atomicDepth > 0) atomicDepth -= 1;
      previousWord = word;
    }
  }
  finish(text.length);
  return statements;
}

/** The line (from 1) of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/** Comments nest in PostgreSQL. */
function endOfComment(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length - 1; ) {
    const two = text.slice(at, at + 2);
    if (two === '/*') depth += 1;
    if (two === '*/') depth -= 1;
    at += two === '/*' || two === '*/' ? 2 : 1;
    if (depth === 0) return at;
  }
  return text.length;
}
