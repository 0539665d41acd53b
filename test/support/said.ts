/**
 * Everything the programs of a test file say, and the secrets they were given: looked through once the file is over (test/support/secrets-kept.ts),
 * so that the outputs of the whole run are, without any test having to think of it.
 */
const said: { readonly who: string; readonly text: string }[] = [];
const environments: Readonly<Record<string, string | undefined>>[] = [];

/** Of shorter ones, like the passwords of the local stack, it could not be told whether a word is one of them. */
const SHORTEST = 8;
/** CardTrader's tokens, the stand-in's among them. */
const TOKEN = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/;

/** What a program said, whole: a log, an answer over HTTP, a metrics page. */
export function keepSaid(who: string, text: string): void {
  said.push({ who, text });
}

/** The secrets among a program's settings must not be heard of again. */
export function keepSecrets(environment: Readonly<Record<string, string | undefined>>): void {
  environments.push(environment);
}

/** Secrets that were said, each with who said it, and after what. */
export async function leaks(): Promise<string[]> {
  const secrets = [...(await secretsGiven())];
  return said.flatMap(({ who, text }) => {
    const found = secrets.filter(([secret]) => text.includes(secret)).map(([secret, name]) => ({ name, secret }));
    const token = TOKEN.exec(text)?.[0];
    if (token !== undefined) found.push({ name: 'a token of CardTrader', secret: token });
    return found.map(({ name, secret }) => `${who} said ${name}: …${text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret))}[here]`);
  });
}

/** Each with the setting it was. */
async function secretsGiven(): Promise<Map<string, string>> {
  const secrets = new Map<string, string>();
  if (environments.length === 0) return secrets;
  const { VARIABLES } = await import('../../src/config.ts'); // most files of tests start no program, and need not load it
  for (const [name, value] of environments.flatMap((environment) => Object.entries(environment))) {
    if (value === undefined || (VARIABLES as Record<string, { readonly secret?: true }>)[name]?.secret !== true) continue;
    for (const secret of secretsIn(name, value)) if (secret.length >= SHORTEST) secrets.set(secret, name);
  }
  return secrets;
}

/** A URL's is its password, a key's what follows its name. */
function secretsIn(name: string, value: string): string[] {
  if (name.endsWith('_URL') || name.endsWith('_URLS')) return value.split(',').flatMap((url) => (URL.canParse(url) ? decodeURIComponent(new URL(url).password) : ''));
  if (name === 'BRX_SECRET_KEYS') return value.split(',').map((pair) => pair.slice(pair.indexOf(':') + 1));
  return [value];
}
