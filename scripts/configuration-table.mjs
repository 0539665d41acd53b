// The README's table of settings, written from src/config.ts: `npm run docs` (after a build) puts it between
// <!-- configuration --> and <!-- /configuration -->; test/unit/config.test.ts fails when it is not current.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const MARKERS = ['<!-- configuration -->', '<!-- /configuration -->'];

/** The table, without the markers around it. */
export function configurationTable(variables) {
  const rows = Object.entries(variables).map(([name, { schema, description, secret, example }]) => {
    const unset = schema.safeParse(undefined);
    const byDefault = !unset.success ? '**required**' : unset.data === undefined ? '' : String(unset.data) === '' ? 'empty' : `\`${written(unset.data, schema, example)}\``;
    return `| \`${name}\`${secret === true ? ' 🔒' : ''} | ${byDefault} | ${description} |`;
  });
  return ['| variable | default | what it is |', '|---|---|---|', ...rows, '', '🔒 is never printed, and may be a file instead: `NAME_FILE=/run/secrets/name`.'].join('\n');
}

/** A default as it would be set: one that is read into parts has no other text than the example, which then must mean the same. */
function written(value, schema, example) {
  if (typeof value !== 'object' || Array.isArray(value)) return String(value);
  if (JSON.stringify(schema.parse(example)) !== JSON.stringify(value)) throw new Error(`the example ${example} is not the default ${JSON.stringify(value)}`);
  return example;
}

/** `text` with the table between its markers; throws when they are not there exactly once. */
export function withTable(text, table) {
  const [open, close] = MARKERS;
  const [before, rest, ...more] = text.split(open);
  const after = rest?.split(close);
  if (before === undefined || after?.length !== 2 || more.length > 0) throw new Error(`README.md must have ${open} and ${close} once each`);
  return `${before}${open}\n${table}\n${close}${after[1]}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { VARIABLES } = await import('../dist/src/config.js');
  const readme = fileURLToPath(new URL('../README.md', import.meta.url));
  writeFileSync(readme, withTable(readFileSync(readme, 'utf8'), configurationTable(VARIABLES)));
}
