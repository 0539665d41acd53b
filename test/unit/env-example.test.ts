import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { VARIABLES, readConfig } from '../../src/config.ts';
import { PORT_VARIABLES, URL_VARIABLES } from '../../stack/model.ts';

const text = readFileSync('.env.example', 'utf8');
const named = new Set([...text.matchAll(/^(?:# )?([A-Z][A-Z0-9_]+)=/gm)].flatMap((match) => match[1] ?? []));

describe('.env.example', () => {
  it('names every setting there is, and no other', () => {
    const known = [...Object.keys(VARIABLES), 'BRX_STACK', ...Object.values(PORT_VARIABLES), ...Object.values(URL_VARIABLES)];
    expect([...named].sort()).toEqual([...new Set(known)].sort());
  });

  it('works as it is on the local stack', () => {
    expect(() => readConfig(parseEnv(text) as Record<string, string>)).not.toThrow();
  });

  it('holds no secret', () => {
    for (const [name, variable] of Object.entries(VARIABLES)) {
      if ('secret' in variable && variable.example === '(a secret)') expect(text, name).toMatch(new RegExp(`^# ${name}=$`, 'm'));
    }
  });
});
