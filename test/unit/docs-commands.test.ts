import { readFileSync, readdirSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import type { CliContext } from '../../src/cli/context.ts';
import { MISMATCH_KINDS } from '../../src/cli/listings.ts';
import { COMMANDS } from '../../src/cli/program.ts';

/** Protects: what the documentation tells people to type is there. */
const program = new Command('brx-sync').option('--json').option('--verbose');
for (const { register } of COMMANDS) for (const one of register) one(program, {} as CliContext);
program.command('help');

const DOCS = ['README.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/** Command lines in code, as far as words that are commands and options go. */
function commandLines(text: string): string[] {
  const code = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n').map((line) => line.replace(/\s#.*$/, '')));
  const spans = [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return [...code, ...spans].flatMap((line) => line.split(/&&|\|/)).flatMap((line) => /\bbrx-sync (?<rest>[a-z].*)/.exec(line)?.groups?.['rest']?.trim() ?? []);
}

/** Of errors and remedies in the source: what stands between backquotes inside a string. */
const remediesIn = (text: string): string[] => [...text.replaceAll('\\`', '`').matchAll(/`brx-sync ([a-z][^`\n]*)`/g)].map(([, rest = '']) => rest.replaceAll(/\$\{[^}]*\}/g, 'X'));
const SOURCES = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.includes('generated')).map((name) => `src/${name}`);

const CASES = [...DOCS.map((file) => ({ file, lines: commandLines(readFileSync(file, 'utf8')) })), ...SOURCES.map((file) => ({ file, lines: remediesIn(readFileSync(file, 'utf8')) })).filter(({ lines }) => lines.length > 0)];

describe.each(CASES)('$file', ({ lines }) => {
  test('names commands and options that exist', () => {
    for (const line of lines) {
      const words = line.split(/\s+/);
      let command = program;
      while (command.commands.length > 0 && words[0] !== undefined && /^[a-z-]+$/.test(words[0])) {
        const next = command.commands.find((one) => one.name() === words[0]);
        expect(next, `brx-sync ${line}`).toBeDefined();
        command = next!;
        words.shift();
      }
      // `brx-sync sync USER --mode report` goes to `sync run`.
      const byDefault = command.commands.find((one) => one.name() === (command as unknown as { _defaultCommandName?: string | null })._defaultCommandName);
      const known = [...program.options, ...command.options, ...(byDefault?.options ?? [])].filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []);
      for (const word of words) if (word.startsWith('--')) expect(known, `brx-sync ${line}`).toContain(word.split('=')[0]);
    }
  });
});

test('the check sees what is wrong, and finds what there is', () => {
  expect(commandLines('`brx-sync users add USER` and\n```sh\nX=1 brx-sync lag --watch   # --not-this\n```')).toEqual(['lag --watch', 'users add USER']);
  expect(commandLines(readFileSync('docs/cardtrader-accounts.md', 'utf8')).length).toBeGreaterThan(20);
});

test('every kind of mismatch is explained to operators', () => {
  const text = readFileSync('docs/cardtrader-accounts.md', 'utf8');
  for (const kind of MISMATCH_KINDS) expect(text).toContain(`| \`${kind}\` |`);
});
