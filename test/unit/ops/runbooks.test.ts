import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { VARIABLES } from '../../../src/config.ts';
import { DEAD_LETTER_REASONS } from '../../../src/records/index.ts';
import { alerts, knownMetrics } from '../../support/operations-files.ts';

/** Protects: whoever is called at night finds a page, and what it tells them to do exists. */
const FOLDER = 'docs/runbooks';
const pages = readdirSync(FOLDER).map((file) => ({ name: file.replace(/\.md$/, ''), text: readFileSync(`${FOLDER}/${file}`, 'utf8') }));

/** Command lines of a page: in blocks of sh, and in `code` that begins with the program. Comments are cut off. */
function commandsOf(text: string): string[] {
  const blocks = [...text.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...text.replaceAll(/```[^]*?```/g, '').matchAll(/`(brx-sync [^`]+)`/g)].map(([, span = '']) => span);
  return [...blocks, ...spans].map((line) => line.replace(/\s+#.*$/, '').replace(/^(?:[A-Z_]+=\S+ )+/, '').trim()).filter((line) => line.startsWith('brx-sync '));
}

const helps = new Map<string, string>();
async function helpOf(words: string): Promise<string> {
  const known = helps.get(words);
  if (known !== undefined) return known;
  let text = '';
  const stream = { write: (chunk: string) => (text += chunk) };
  const host = { on: () => undefined, exit: () => undefined };
  await runCli([...words.split(' '), '--help'], { stdout: stream, stderr: stream, host, environment: {} });
  const help = text.replaceAll(/\s+/g, ' ');
  helps.set(words, help);
  return help;
}

/** What a command line names that the program does not have. */
async function problemsOf(line: string): Promise<string[]> {
  const [, ...tokens] = line.replaceAll(/"[^"]*"/g, 'TEXT').split(/\s+/);
  const end = tokens.findIndex((token) => !/^[a-z][a-z-]*$/.test(token));
  const words = tokens.slice(0, end === -1 ? tokens.length : end).join(' ');
  if (words === 'help') return [];
  const help = await helpOf(words);
  if (!help.startsWith(`Usage: brx-sync ${words} `)) return [`there is no command ${words}`];
  const problems = tokens.filter((token) => token.startsWith('--') && !help.includes(`${token} `)).map((flag) => `${words} has no option ${flag}`);
  const given = tokens.filter((token) => /^[A-Z]+$/.test(token) && token !== 'TEXT').length;
  const taken = /^Usage: brx-sync [a-z -]+((?: ?[<[](?!options)[a-z]+(?:\.\.\.)?[>\]])*)/.exec(help.replace('[options] ', ''))?.[1]?.split(' ').filter((part) => part !== '').length ?? 0;
  const values = tokens.filter((token, index) => /^[A-Z]+$/.test(token) && token !== 'TEXT' && (tokens[index - 1]?.startsWith('--') ?? false)).length;
  if (given - values > taken) problems.push(`${words} takes ${taken} arguments`);
  return problems;
}

test('every alert has its page, and every page its alert', () => {
  expect(pages.map(({ name }) => name).sort()).toEqual(alerts().map(({ alert }) => alert).sort());
});

describe.each(pages)('$name', ({ name, text }) => {
  test('says when it fires, what it means, how to look, what to do and when it is over', () => {
    expect(text.split('\n')[0]).toBe(`# ${name}`);
    expect(text).toMatch(/^Fires when .+\.$/m);
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(['What it means', 'Look', 'Do', 'Over when']);
    for (const section of text.split(/^## .+$/m)) expect(section.trim().length).toBeGreaterThan(20);
  });

  test('names commands, options, variables, metrics and reasons that exist', async () => {
    for (const line of commandsOf(text)) expect(await problemsOf(line), line).toEqual([]);
    const metrics = new Set([...knownMetrics().keys()].flatMap((known) => [known, known.replace(/_(bucket|sum|count)$/, '')]));
    for (const [metric] of text.matchAll(/\bbrx[_:][a-z0-9_:]*[a-z0-9]/g)) expect([...metrics], metric).toContain(metric);
    for (const [variable] of text.matchAll(/\bBRX_[A-Z_]+\b/g)) expect([...Object.keys(VARIABLES), 'BRX_OUTBOX_FULL', 'BRX_SELLER_TOKEN'].some((known) => known === variable || known.startsWith(variable)) || /^BRX_(DATABASE|REGISTRY)_$/.test(variable), variable).toBe(true);
    for (const [, reason = ''] of text.matchAll(/--reason ([a-z_]+)/g)) expect(Object.keys(DEAD_LETTER_REASONS)).toContain(reason);
  });

  test('links to pages that are there', () => {
    for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) expect(existsSync(`${FOLDER}/${target}`), target).toBe(true);
  });
});

test('look sections show at least where to look: a command, a query or a metric', () => {
  for (const { name, text } of pages) expect(/^## Look$([^]*?)^## Do$/m.exec(text)?.[1], name).toMatch(/brx|SELECT|curl/);
});

describe('the check itself', () => {
  test.each([
    ['brx-sync sagas list', 'there is no command sagas list'],
    ['brx-sync saga lists', 'there is no command saga lists'],
    ['brx-sync saga list --status x', 'saga list has no option --status'],
    ['brx-sync parked list USER', 'parked list takes 0 arguments'],
    ['brx-sync item USER', undefined],
    ['brx-sync saga resolve PURCHASE --applied --reason "order 123 seen"', undefined],
  ])('%s', async (line, problem) => {
    expect(await problemsOf(line)).toEqual(problem === undefined ? [] : [problem]);
  });
});
