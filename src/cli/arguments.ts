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
