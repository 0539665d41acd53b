import { describe, expect, test } from 'vitest';
import { integerOption, listOption, uuidArgument } from '../../src/cli/arguments.ts';

/** What a command line may say, and in which form it reaches the program. */
describe('a user id', () => {
  test('is a UUID in lower case, as lanes and keys want it', () => {
    expect(uuidArgument('0197A3C2-5B1E-7C3D-9F00-3A5B6C7D8E9F')).toBe('0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f');
    expect(uuidArgument('00000000-0000-0000-0000-000000000001')).toBe('00000000-0000-0000-0000-000000000001'); // no version: producers may
  });

  test.each(['', '12', '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9', '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f\n', '{0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f}'])('%j is none', (text) => {
    expect(() => uuidArgument(text)).toThrow('It must be a UUID');
  });
});

test.each(['', ' ', '1.5', '1e3', '0x10', '-1', '11', 'ten', '9'.repeat(30)])('%j is no whole number from 0 to 10', (text) => {
  expect(() => integerOption(0, 10)(text)).toThrow('It must be a whole number from 0 to 10.');
});

test('whole numbers at both ends are taken', () => {
  expect([integerOption(0, 10)('0'), integerOption(0, 10)('10'), integerOption(-5, 5)('-5')]).toEqual([0, 10, -5]);
});

describe('a list', () => {
  const roles = listOption(['ingest', 'http']);

  test('is in the program’s order, each once, blanks allowed', () => {
    expect(roles('http, ingest,http')).toEqual(['ingest', 'http']);
  });

  test.each(['', 'ingest,', 'Ingest', 'relay'])('%j is refused', (text) => {
    expect(() => roles(text)).toThrow('It must be some of ingest, http');
  });
});
