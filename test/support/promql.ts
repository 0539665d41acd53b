/**
 * What a PromQL expression names: metrics with their label matchers, and the labels it groups or matches by. Not a parser: promtool is one
 * (test/integration/promtool.test.ts); this reads the names out of what is sound.
 */
export interface Names {
  readonly selectors: readonly Selector[];
  /** Labels of by, without, on, ignoring, group_left and group_right. */
  readonly labels: readonly string[];
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly op: string; readonly value: string }[];
}

const TOKEN = /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|\d[\d.a-zA-Z]*|=~|!~|!=|[{}()=,]|[^\s]/g;
const LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS = new Set([...LISTS, 'and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'sum', 'min', 'max', 'avg', 'count', 'topk', 'bottomk', 'quantile', 'stddev', 'group']);

export function namesOf(expression: string): Names {
  const tokens = expression.match(TOKEN) ?? [];
  const selectors: Selector[] = [];
  const labels: string[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (!/^[a-zA-Z_:]/.test(token)) continue;
    if (LISTS.has(token) && tokens[at + 1] === '(') {
      for (at += 2; at < tokens.length && tokens[at] !== ')'; at += 1) if (tokens[at] !== ',') labels.push(tokens[at] ?? '');
      continue;
    }
    if (WORDS.has(token.toLowerCase()) || tokens[at + 1] === '(') continue; // an aggregation, an operator, a function
    const matchers: { label: string; op: string; value: string }[] = [];
    if (tokens[at + 1] === '{') {
      for (at += 2; at < tokens.length && tokens[at] !== '}'; at += 1) {
        const [label, op, value] = tokens.slice(at, at + 3);
        if (label === ',') continue;
        if (label === undefined || op === undefined || value === undefined || !/^(=|!=|=~|!~)$/.test(op) || !value.startsWith('"')) throw new Error(`cannot read the labels of ${token} in ${expression}`);
        matchers.push({ label, op, value: value.slice(1, -1) });
        at += 2;
      }
    }
    selectors.push({ metric: token, matchers });
  }
  return { selectors, labels };
}
