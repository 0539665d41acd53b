import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

/** Readers of arguments and option values. What they refuse ends the command with exit code 2 and the reason. */

const uuid = z.guid();

/** A UUID, in lower case as everywhere in BRX Sync. */
export function uuidArgument(text: string): string {
  const value = text.toLowerCase();
  if (!uuid.safeParse(value).success) throw new InvalidArgumentError('It must be a UUID, for example 0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f.');
  return value;
}

/** One of several CardTrader blueprint ids. */
export function blueprintArguments(text: string, before: readonly number[] = []): number[] {
  const id = Number(text);
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(id)) throw new InvalidArgumentError('A blueprint id is a whole number above 0, for example 260812.');
  return [...before, id];
}

export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Some of `choices`, separated by commas, each once, in the order of `choices`. */
export function listOption<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice[] {
  return (text) => {
    const given = text.split(',').map((part) => part.trim());
    const unknown = given.filter((part) => !choices.some((choice) => choice === part));
    if (unknown.length > 0) throw new InvalidArgumentError(`It must be some of ${choices.join(', ')}, separated by commas.`);
    return choices.filter((choice) => given.includes(choice));
  };
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** An instant in ms since 1970: ISO 8601 with its zone, or so long ago (90s, 30m, 2h, 7d). A time without a zone means two things, so it is refused. */
export function instantOption(now: () => number): (text: string) => number {
  return (text) => {
    const ago = /^(\d{1,9})([smhd])$/.exec(text);
    if (ago !== null) return now() - Number(ago[1]) * UNITS[ago[2] as keyof typeof UNITS];
    const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(instant)) throw new InvalidArgumentError('It must be a time with its zone, 2026-11-04T09:30:00Z, or how long ago: 90s, 30m, 2h, 7d.');
    return instant;
  };
}

/** Ids of rows, as a command lists them; several arguments add up. */
export function rowIdArguments(text: string, before: readonly bigint[] = []): bigint[] {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('It must be an id, a whole number above 0.');
  return [...before, BigInt(text)];
}

/** `name=value`: the value as JSON, or else as the text it is; several options add up. */
export function assignmentOption(text: string, before: readonly { path: string; value: unknown }[] = []): { path: string; value: unknown }[] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('It must be a field and its value, for example quantity=3.');
  const given = text.slice(equals + 1);
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch {
    value = given;
  }
  return [...before, { path: text.slice(0, equals), value }];
}
