import { accessSync, constants, existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Environment } from './settings.ts';

/** Programs of the system that the native stack needs. */
export interface Tools {
  /** Java of at least 17, for Kafka. */
  kafkaJava: string;
  /** Java of at least 21, for the registry. */
  registryJava: string;
  mvn: string;
  /** Folder of postgres and initdb. */
  postgresBin: string;
  mariadbd: string;
  mariadbInstallDb: string;
  redisServer: string;
}

export interface MissingPiece {
  what: string;
  /** Debian packages, the first that the system offers is taken. */
  packages: readonly string[];
  hint?: string;
}

export interface Jdk {
  home: string;
  major: number;
}

const REGISTRY_JAVA = 21;
const KAFKA_JAVA = 17;

/** What is there, and all that is not. `mvn` is only needed while something must be downloaded. */
export function findTools(environment: Environment, options: { downloadsComplete: boolean }): { tools: Partial<Tools>; missing: MissingPiece[] } {
  const path = searchPath(environment);
  const jdks = findJdks(environment, path);
  const kafkaJdk = jdks.find(({ major }) => major >= KAFKA_JAVA);
  const registryJdk = jdks.find(({ major }) => major >= REGISTRY_JAVA);
  const found: Partial<Record<keyof Tools, string | undefined>> = {
    kafkaJava: kafkaJdk && join(kafkaJdk.home, 'bin', 'java'),
    registryJava: registryJdk && join(registryJdk.home, 'bin', 'java'),
    mvn: onPath(path, 'mvn'),
    postgresBin: findPostgres(path),
    mariadbd: onPath(path, 'mariadbd') ?? onPath(path, 'mysqld'),
    mariadbInstallDb: onPath(path, 'mariadb-install-db') ?? onPath(path, 'mysql_install_db'),
    redisServer: onPath(path, 'redis-server') ?? onPath(path, 'valkey-server'),
  };
  const tools: Partial<Tools> = Object.fromEntries(Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== undefined));
  return { tools, missing: missingPieces(found, jdks, options) };
}

export function missingPieces(found: Partial<Record<keyof Tools, string | undefined>>, jdks: readonly Jdk[], options: { downloadsComplete: boolean }): MissingPiece[] {
  const missing: MissingPiece[] = [];
  if (found.registryJava === undefined) {
    const seen = jdks.length === 0 ? 'none was found' : `found only ${[...new Set(jdks.map(({ major }) => major))].join(', ')}`;
    missing.push({
      what: `a JDK of at least ${REGISTRY_JAVA} for the schema registry (${seen} in JAVA_HOME, /usr/lib/jvm and PATH)`,
      packages: ['openjdk-21-jre-headless', 'openjdk-25-jre-headless'],
      hint: 'or unpack any JDK >= 21, for example Eclipse Temurin, and set JAVA_HOME to it',
    });
  }
  if (found.mvn === undefined && !options.downloadsComplete) missing.push({ what: 'Apache Maven (mvn), which downloads Kafka and the registry', packages: ['maven'] });
  if (found.postgresBin === undefined) missing.push({ what: 'PostgreSQL (postgres and initdb)', packages: ['postgresql'] });
  if (found.mariadbd === undefined || found.mariadbInstallDb === undefined) missing.push({ what: 'MariaDB (mariadbd and mariadb-install-db)', packages: ['mariadb-server'] });
  if (found.redisServer === undefined) missing.push({ what: 'Redis (redis-server)', packages: ['redis-server'] });
  return missing;
}

export function searchPath(environment: Environment): string[] {
  return [...(environment['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'].filter((folder) => folder !== '');
}

export function onPath(path: readonly string[], program: string): string | undefined {
  return path.map((folder) => join(folder, program)).find(isExecutable);
}

/** The newest server; Debian keeps them off the PATH. */
function findPostgres(path: readonly string[]): string | undefined {
  return postgresFolders()[0] ?? folderOf(onPath(path, 'postgres'));
}

/** Folders of all PostgreSQL servers of the system, newest first; the major version is their parent's name. */
export function postgresFolders(): string[] {
  return list('/usr/lib/postgresql')
    .filter((version) => isExecutable(`/usr/lib/postgresql/${version}/bin/postgres`) && isExecutable(`/usr/lib/postgresql/${version}/bin/initdb`))
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => `/usr/lib/postgresql/${version}/bin`);
}

function folderOf(program: string | undefined): string | undefined {
  const folder = program && dirname(realpathSync(program));
  return folder !== undefined && isExecutable(join(folder, 'initdb')) ? folder : undefined;
}

/** Every JDK we know how to find, JAVA_HOME first, then newest first. */
export function findJdks(environment: Environment, path: readonly string[]): Jdk[] {
  const system = [
    ...list('/usr/lib/jvm').map((name) => join('/usr/lib/jvm', name)),
    ...list('/Library/Java/JavaVirtualMachines').map((name) => join('/Library/Java/JavaVirtualMachines', name, 'Contents/Home')),
  ];
  const java = onPath(path, 'java');
  if (java !== undefined) system.push(dirname(dirname(realpathSync(java))));
  const chosen = environment['JAVA_HOME'];
  const found = system.flatMap(readJdk).sort((a, b) => b.major - a.major);
  return chosen === undefined || chosen === '' ? found : [...readJdk(chosen), ...found];
}

function readJdk(home: string): Jdk[] {
  if (!isExecutable(join(home, 'bin', 'java')) || !existsSync(join(home, 'release'))) return [];
  const major = majorOf(readFileSync(join(home, 'release'), 'utf8'));
  return major === undefined ? [] : [{ home, major }];
}

/** Major version from the `release` file every JDK has (1.8 is 8). */
export function majorOf(release: string): number | undefined {
  const match = /^JAVA_VERSION="(?:1\.)?(\d+)/m.exec(release);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
