import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { BrxError } from '../src/errors.ts';
import { DEFAULT_PORTS, PORT_VARIABLES, STACK_SOURCES, URL_VARIABLES, type PortName, type StackPorts, type StackSource, type UrlKey } from './model.ts';

/**
 * What the environment says about the local stack. The only file of `stack/` that reads it. Of `.env` only the
 * BRX_STACK variables count here: the BRX_* URLs in it were written by `stack:up` for the program.
 */
export interface StackSettings {
  /** BRX_STACK: forces one source. */
  readonly source: StackSource | undefined;
  readonly ports: StackPorts;
  readonly urls: Readonly<Partial<Record<UrlKey, string>>>;
  /** The whole environment, for child processes and tools that have settings of their own (JAVA_HOME, DOCKER_HOST, HOME...). */
  readonly environment: Environment;
  /** The checkout, and its `.stack/`. */
  readonly root: string;
  readonly home: string;
  readonly isRoot: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export function readSettings(given: Environment = process.env, root: string = projectRoot()): StackSettings {
  const environment: Environment = { ...stackVariablesOfFile(given, root), ...given };
  const problems: string[] = [];
  const ports = readPorts(environment, problems);
  const wanted = environment['BRX_STACK'];
  const source = STACK_SOURCES.find((name) => name === wanted);
  if (wanted !== undefined && wanted !== '' && source === undefined) problems.push(`BRX_STACK=${wanted} is not one of ${STACK_SOURCES.join(', ')}`);
  if (problems.length > 0) {
    throw new BrxError('BRX_CONFIG', `the local stack's settings cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`, { remedy: 'correct or unset these variables (environment or .env)' });
  }
  const urls: Partial<Record<UrlKey, string>> = {};
  for (const [key, variable] of Object.entries(URL_VARIABLES) as [UrlKey, string][]) {
    const value = environment[variable];
    if (value !== undefined && value !== '') urls[key] = value;
  }
  return { source, ports, urls, environment, root, home: join(root, '.stack'), isRoot: process.getuid?.() === 0 };
}

function readPorts(environment: Environment, problems: string[]): StackPorts {
  const ports: Record<PortName, number> = { ...DEFAULT_PORTS };
  const names = Object.entries(PORT_VARIABLES) as [PortName, string][];
  for (const [name, variable] of names) {
    const value = environment[variable];
    if (value === undefined || value === '') continue;
    const port = Number(value);
    if (Number.isInteger(port) && port >= 1_024 && port <= 65_535) ports[name] = port;
    else problems.push(`${variable}=${value} is not a port between 1024 and 65535, for example ${variable}=${DEFAULT_PORTS[name]}`);
  }
  for (const [name, variable] of names) {
    const twin = names.find(([other]) => other !== name && ports[other] === ports[name]);
    if (twin !== undefined && variable < twin[1]) problems.push(`${variable} and ${twin[1]} are both ${ports[name]}`);
  }
  return ports;
}

function stackVariablesOfFile(given: Environment, root: string): Environment {
  const file = given['BRX_ENV_FILE'] ?? join(root, '.env');
  if (file === 'none' || !existsSync(file)) return {};
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new BrxError('BRX_CONFIG', `the settings of ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error, remedy: 'it must be a file of lines NAME=value; BRX_ENV_FILE names another one, or none' });
  }
  const values = parseEnv(text) as Environment;
  return Object.fromEntries(Object.entries(values).filter(([name]) => name === 'BRX_STACK' || name.startsWith('BRX_STACK_')));
}

/** The checkout this file belongs to, from the sources as from `dist/`. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new BrxError('BRX_STACK', 'no package.json above the stack\'s own files', { remedy: 'run it from a checkout of the repository' });
    folder = parent;
  }
  return folder;
}
