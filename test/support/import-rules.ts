import { dirname, posix } from 'node:path';
import { lineOf, scan, type Import, type Scan } from './source-scan.ts';

/**
 * The rules of the layout (DESIGN section 6), over any set of files: path from the repository's root, text.
 *
 *   contract, errors ◄── platform ◄── features ◄── flow ◄── main ◄── cli
 *
 * config is read by cli, main and flow; platform and features see its types only.
 */
export type Files = Readonly<Record<string, string>>;

export interface Violation {
  file: string;
  line: number;
  rule: Rule;
  message: string;
}

export const RULES = ['layers', 'index-only', 'own-index', 'cycle', 'sql', 'environment', 'clock', 'pure', 'kafkajs', 'clients', 'length', 'unfinished', 'outside'] as const;
export type Rule = (typeof RULES)[number];

export interface Exceptions {
  /** rule → file → why. One that no longer excuses anything is itself a violation. */
  readonly [rule: string]: Readonly<Record<string, string>>;
}

const MAX_LINES = 400;
const PURE = [
  /^src\/contract\//,
  /^src\/inventory\/fold[^/]*\.ts$/,
  /^src\/purchase\/(?:saga|decide|evolve|fold|messages)\.ts$/,
  /^src\/marketplace\/client\/(?:error-body|job|json-list|lenient|marker|order|outcome|product|text|token|verdict)\.ts$/,
  /^src\/platform\/tracing\/(?:traceparent|settings)\.ts$/,
  /^src\/orders\/(?:ledger|decide|relisted|effects|words)\.ts$/,
  /^src\/marketplace\/limiter\/(?:adaptive|ahead|local|mode|rules|window)\.ts$/,
];
const PURE_PACKAGES = ['zod'];
const KAFKAJS = [/^src\/platform\//];
/** Other clients of the network, each with the one folder that knows its traps. */
const CLIENTS: Readonly<Record<string, string>> = { undici: 'src/marketplace/client/', ioredis: 'src/platform/redis/', mysql2: 'src/platform/mysql/', '@opentelemetry': 'src/platform/tracing/' };
const SQL = /^\s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WITH|CREATE|ALTER|DROP|TRUNCATE)\s/;
const CLOCK = /\bDate\.now\b|\bnew Date\(\s*\)|(?<![.\w])Date\(\)|\bMath\.random\b|(?<![.\w])(?:setTimeout|setInterval)\s*\(|\bperformance\.now\b|\bprocess\.hrtime\b|\bAbortSignal\.timeout\b|\brandom(?:UUID|Bytes|Int)\b/g;

export function checkRules(files: Files, exceptions: Exceptions = {}): Violation[] {
  const scans = new Map(Object.entries(files).map(([path, text]) => [path, scan(text)]));
  const graph = new Map([...scans].map(([path, { imports }]) => [path, imports.map((entry) => ({ ...entry, target: resolve(path, entry.specifier) }))]));
  const violations: Violation[] = [];
  const used = new Set<string>();
  const say = (rule: Rule, file: string, at: number, message: string): void => {
    if (exceptions[rule]?.[file] !== undefined) used.add(`${rule} ${file}`);
    else violations.push({ file, line: lineOf(files[file] ?? '', at), rule, message });
  };

  for (const [path, scanned] of scans) {
    const text = files[path] ?? '';
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (lines > MAX_LINES) say('length', path, text.length, `has ${lines} lines, ${MAX_LINES} are the most: a file tells one story, split it by what it tells`);
    unfinished(path, scanned, say);
    if (!path.startsWith('src/')) continue;
    for (const entry of graph.get(path) ?? []) checkImport(path, entry, say);
    checkText(path, scanned, say);
  }
  checkCycles(graph, say);
  checkPure(graph, say);
  for (const [rule, byFile] of Object.entries(exceptions)) {
    for (const file of Object.keys(byFile)) if (!used.has(`${rule} ${file}`)) violations.push({ file, line: 1, rule: rule as Rule, message: 'is listed as an exception but breaks nothing: take it off the list' });
  }
  return violations.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

type Say = (rule: Rule, file: string, at: number, message: string) => void;
type Edge = Import & { target: string | undefined };

/** One line a violation: `file:line rule: what to do`. */
export function describeViolations(violations: readonly Violation[]): string {
  return violations.map(({ file, line, rule, message }) => `${file}:${line} ${rule}: ${message}`).join('\n');
}

/** `src/...` for a relative import, undefined for a package. */
const resolve = (from: string, specifier: string): string | undefined => (specifier.startsWith('.') ? posix.join(dirname(from), specifier) : undefined);

const LAYERS = ['contract', 'platform', 'feature', 'flow', 'main', 'cli'] as const;
type Layer = (typeof LAYERS)[number] | 'errors' | 'config';

function layerOf(path: string): Layer {
  if (path === 'src/errors.ts') return 'errors';
  if (path === 'src/config.ts') return 'config';
  if (path === 'src/flow.ts') return 'flow';
  if (path === 'src/main.ts') return 'main';
  const folder = path.split('/')[1];
  return folder === 'contract' || folder === 'platform' || folder === 'cli' ? folder : 'feature';
}

/** The folder that is entered through its index.ts only: a feature, the contract, or a folder of platform. Operations are one feature each. */
function moduleOf(path: string): string | undefined {
  const [, folder, inner, rest] = path.split('/');
  if (inner === undefined || folder === 'cli') return undefined;
  if (folder === 'platform' || folder === 'operations') return rest === undefined ? undefined : `src/${folder}/${inner}`;
  return `src/${folder}`;
}

function checkImport(path: string, { target, specifier, kind, at }: Edge, say: Say): void {
  if ((specifier === 'kafkajs' || specifier.startsWith('kafkajs/')) && !KAFKAJS.some((allowed) => allowed.test(path))) {
    say('kafkajs', path, at, 'imports kafkajs: go through src/platform/kafka, so that the client can be exchanged in one place');
  }
  const only = CLIENTS[specifier.split('/')[0] ?? ''];
  if (only !== undefined && !path.startsWith(only)) say('clients', path, at, `imports ${specifier}: go through ${only}, which knows its traps`);
  if (specifier === 'node:process' || specifier === 'process') say('environment', path, at, `imports ${specifier}: the environment is read by src/config.ts only, everything else is the global process`);
  if (/^(?:node:)?timers(?:\/promises)?$/.test(specifier) && layerOf(path) !== 'platform') say('clock', path, at, `imports ${specifier}: take a Clock (src/platform/clock.ts)`);
  if (target === undefined) return;
  if (!target.startsWith('src/')) return say('outside', path, at, `imports ${specifier}, which is not shipped: src may only import from src and packages`);

  const [from, to] = [layerOf(path), layerOf(target)];
  const allowed = mayImport(from, to, kind);
  if (allowed !== true) say('layers', path, at, `${from} imports ${to} (${specifier}): ${allowed}`);

  const home = moduleOf(target);
  const inside = home !== undefined && path.startsWith(`${home}/`);
  if (home !== undefined && !inside && target !== `${home}/index.ts` && !(home === 'src/platform/metrics' && path === 'src/platform/metrics.ts')) {
    say('index-only', path, at, `imports ${specifier}, an inside of ${home}: import ${home}/index.ts, and export there what others need`);
  }
  if (inside && target === `${home}/index.ts` && path !== target) say('own-index', path, at, `imports the index of its own folder ${home}: import the sibling itself`);
}

/** True, or what to do instead. */
function mayImport(from: Layer, to: Layer, kind: Import['kind']): true | string {
  if (from === to && from !== 'errors' && from !== 'config') return true;
  if (from === 'contract') return 'the contract imports nothing else of src; move what it needs into src/contract or hand it in';
  if (from === 'errors') return 'errors import nothing of src';
  if (to === 'errors' || to === 'contract') return true;
  if (from === 'config') return to === 'platform' ? true : 'config knows platform and errors only';
  if (to === 'config') return kind === 'type' || from === 'cli' || from === 'main' || from === 'flow' ? true : 'only its types (import type): take the section you need as a parameter';
  const rank = (layer: Layer): number => LAYERS.indexOf(layer as (typeof LAYERS)[number]);
  return rank(to) < rank(from) ? true : `layers look down only (${LAYERS.join(' ◄ ')}): turn it round, or hand it in as a parameter`;
}

function checkText(path: string, { code, strings }: Scan, say: Say): void {
  if (!path.endsWith('.sql.ts')) {
    for (const { at, value, first } of strings) if (first && SQL.test(value)) say('sql', path, at, 'holds SQL: put it into a *.sql.ts file and call it from here');
  }
  if (path !== 'src/config.ts') {
    for (const match of code.matchAll(/\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\s*\[/g)) say('environment', path, match.index, 'reads the environment: add a variable to src/config.ts and take it as a parameter');
  }
  if (layerOf(path) !== 'platform') {
    for (const match of code.matchAll(CLOCK)) say('clock', path, match.index, `uses ${match[0].replace(/\s*\($/, '')}: take a Clock (src/platform/clock.ts) so that tests can hold time and chance`);
  }
}

/** Cycles of imports that run at load; each is reported once, at its first file. */
function checkCycles(graph: ReadonlyMap<string, readonly Edge[]>, say: Say): void {
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    if (done.has(path)) return;
    for (const { target, kind, at } of graph.get(path) ?? []) {
      if (kind !== 'value' || target === undefined || !target.startsWith('src/')) continue;
      const from = [...trail, path].indexOf(target);
      if (from >= 0) say('cycle', path, at, `closes a circle: ${[...trail, path, target].slice(from).join(' → ')}; move what both need into a third file`);
      else walk(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of graph.keys()) if (path.startsWith('src/')) walk(path, []);
}

/** Pure files, and whatever they run, know no platform, no Node and no package that does. */
function checkPure(graph: ReadonlyMap<string, readonly Edge[]>, say: Say): void {
  const seen = new Set<string>();
  const walk = (path: string, via: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { target, specifier, kind, at } of graph.get(path) ?? []) {
      if (kind === 'type' && target?.startsWith('src/platform/') !== true) continue;
      if (target?.startsWith('src/platform/') === true || (target === undefined && !PURE_PACKAGES.includes(specifier))) {
        say('pure', path, at, `imports ${specifier}, but ${via === path ? 'this file' : via + ', which runs this one,'} is pure: hand the value in as a parameter`);
      } else if (target !== undefined) {
        walk(target, via);
      }
    }
  };
  for (const path of graph.keys()) if (PURE.some((pattern) => pattern.test(path))) walk(path, path);
}

function unfinished(path: string, { code, comments }: Scan, say: Say): void {
  for (const { at, value } of comments) if (/\b(?:TODO|FIXME|XXX)\b/.test(value)) say('unfinished', path, at, 'has a note of something to do: do it, or write an issue');
  if (!path.startsWith('test/')) return;
  for (const match of code.matchAll(/(?<![.\w])(?:test|it|describe|suite)(?:\.\w+)*\.(only|skip|skipIf|runIf|todo|fails)\b|(?<![.\w])(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(/g)) {
    say('unfinished', path, match.index, `uses ${match[0]}: every test runs, every time; fix it or delete it`);
  }
}
