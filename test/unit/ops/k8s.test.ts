import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig, ROLES, VARIABLES, type Config } from '../../../src/config.ts';
import { TOPICS } from '../../../src/contract/index.ts';
import { createHttpServer, report, type HttpServer } from '../../../src/http/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { packageVersion } from '../../../src/platform/version.ts';

/** Protects: manifests start the program as it is: settings it accepts, roles it has, routes it answers, and no more connections than are told. No cluster is needed. */
const ROOT = 'ops/k8s';
interface Metadata { name: string; labels: Record<string, string> }
interface Container {
  name: string;
  image: string;
  args: string[];
  ports?: { name: string; containerPort: number }[];
  envFrom: { configMapRef: { name: string } }[];
  env: { name: string; value: string }[];
  resources: { requests: { cpu: string; memory: string }; limits: { cpu?: string; memory: string } };
  securityContext: unknown;
  volumeMounts: { name: string; mountPath: string }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
}
interface Probe { httpGet: { path: string; port: string }; periodSeconds: number; timeoutSeconds?: number; failureThreshold: number }
interface PodSpec {
  serviceAccountName?: string;
  automountServiceAccountToken: boolean;
  terminationGracePeriodSeconds?: number;
  securityContext: unknown;
  initContainers?: Container[];
  containers: Container[];
  volumes: { name: string; secret: { secretName: string; items: { key: string; path: string }[] } }[];
}
interface Manifest { kind: string; metadata: Metadata; spec: never }
interface Deployment { metadata: Metadata; spec: { replicas: number; strategy: { rollingUpdate: unknown }; selector: { matchLabels: Record<string, string> }; template: { metadata: { labels: Record<string, string> }; spec: PodSpec } } }
interface ScaledObject { metadata: Metadata; spec: { scaleTargetRef: { name: string }; minReplicaCount: number; maxReplicaCount: number; triggers: { type: string; metadata: Record<string, string> }[] } }
interface Kustomization { kind: string; resources?: string[]; components?: string[]; images?: { name: string; newTag: string }[]; configMapGenerator?: { name: string; envs?: string[]; literals?: string[] }[]; patches?: { target: { kind: string; name?: string }; patch: string }[] }

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
const kustomizations = files.filter((name) => name.endsWith('kustomization.yaml')).map((name) => ({ folder: dirname(name), file: parse(readFileSync(join(ROOT, name), 'utf8')) as Kustomization }));
const manifests = files
  .filter((name) => !name.endsWith('kustomization.yaml'))
  .flatMap((name) => parseAllDocuments(readFileSync(join(ROOT, name), 'utf8')).map((document) => {
    expect(document.errors, name).toEqual([]);
    return document.toJS() as Manifest;
  }));
const ofKind = <T>(kind: string): T[] => manifests.filter((manifest) => manifest.kind === kind) as unknown as T[];
const deployments = ofKind<Deployment>('Deployment');
const scalers = ofKind<ScaledObject>('ScaledObject');
const pods = [...deployments, ...ofKind<Deployment>('Job')].map(({ metadata, spec }) => ({ name: metadata.name, pod: spec.template.spec, labels: spec.template.metadata.labels }));
const containersOf = (pod: PodSpec): Container[] => [...(pod.initContainers ?? []), ...pod.containers];

const lines = (text: string): Record<string, string> => Object.fromEntries(text.split('\n').filter((line) => /^[A-Z]/.test(line)).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
const shared = lines(readFileSync(`${ROOT}/config/config.env`, 'utf8'));
const example = lines((kustomizations.find(({ folder }) => folder === 'example/settings')?.file.configMapGenerator?.[0]?.literals ?? []).join('\n'));
const SECRETS: Record<string, string> = { 'database-url': 'postgresql://brx:secret@db:5432/brx', 'database-owner-url': 'postgresql://owner:secret@db:5432/brx', 'http-token': 'a-token-of-enough-length', 'redis-url': 'redis://redis:6379', 'mysql-url': 'mysql://brx:secret@mysql:3306/brx', 'secret-keys': `k:${Buffer.alloc(32).toString('base64')}` };

/** What the program reads inside the container; files of secrets are read as kubelet would write them. */
function configOf(pod: PodSpec, container: Container, config: Record<string, string> = shared): Config {
  const mount = container.volumeMounts[0]?.mountPath ?? '';
  const items = new Map(pod.volumes[0]?.secret.items.map(({ key, path }) => [`${mount}/${path}`, key]));
  const environment: Record<string, string> = { ...config };
  for (const { name, value } of container.env) {
    if (!name.startsWith('BRX_')) continue;
    if (!name.endsWith('_FILE')) environment[name] = value;
    else environment[name.slice(0, -'_FILE'.length)] = SECRETS[items.get(value) ?? ''] ?? `no file ${value}`;
  }
  return readConfig(environment);
}

describe('kustomize', () => {
  test.each(kustomizations)('$folder names what is there, and everything that is there', ({ folder, file }) => {
    const named = [...(file.resources ?? []), ...(file.components ?? []), ...(file.configMapGenerator ?? []).flatMap(({ envs = [] }) => envs)];
    for (const name of named) {
      const path = join(ROOT, folder, name);
      expect(existsSync(path), path).toBe(true);
      if (statSync(path).isDirectory()) expect(kustomizations.find((each) => join(ROOT, each.folder) === path)?.file.kind, path).toBe((file.components ?? []).includes(name) ? 'Component' : 'Kustomization');
    }
    for (const name of readdirSync(join(ROOT, folder), { withFileTypes: true })) if (name.isFile() && name.name !== 'kustomization.yaml') expect(named).toContain(name.name);
    for (const { target, patch } of file.patches ?? []) {
      expect(manifests.some(({ kind, metadata }) => kind === target.kind && (target.name === undefined || new RegExp(`^${target.name}$`).test(metadata.name)))).toBe(true);
      for (const { path } of parse(patch) as { op: string; path: string }[]) expect(path).toMatch(/^\/spec\//);
    }
  });

  test('the example runs this version', () => {
    expect(kustomizations.find(({ folder }) => folder === 'example/settings')?.file.images).toEqual([expect.objectContaining({ name: 'brx-sync', newTag: packageVersion() })]);
  });
});

describe('settings', () => {
  test.each(pods.flatMap(({ name, pod }) => containersOf(pod).map((container) => ({ name: `${name}/${container.name}`, pod, container }))))('$name: the program accepts them, here and in the example', ({ pod, container }) => {
    for (const config of [shared, { ...shared, ...example }]) expect(() => configOf(pod, container, config)).not.toThrow();
    for (const { name } of container.env) if (name.startsWith('BRX_')) expect(Object.keys(VARIABLES)).toContain(name.replace(/_FILE$/, ''));
    expect(container.envFrom).toEqual([{ configMapRef: { name: 'brx-sync' } }]);
  });

  test('no secret is in a file here: they are files of a Secret, and a role sees only those it needs', () => {
    expect(ofKind('Secret')).toEqual([]);
    const secret = new Set(Object.entries(VARIABLES).filter(([, variable]) => 'secret' in variable).map(([name]) => name));
    for (const name of [...Object.keys(shared), ...Object.keys(example)]) expect(secret).not.toContain(name);
    for (const { name, pod } of pods) {
      for (const { env } of containersOf(pod)) for (const each of env) expect(secret, each.name).not.toContain(each.name);
      expect(pod.volumes[0]?.secret.items.map(({ key }) => key).includes('secret-keys'), name).toBe(name === 'brx-sync-dispatcher');
    }
  });

  test('tables are changed by their owner, and by nobody else', () => {
    for (const { name, pod } of pods) for (const container of containersOf(pod)) expect(configOf(pod, container).postgres.url, name).toBe(SECRETS[name === 'brx-sync-prepare' ? 'database-owner-url' : 'database-url']);
  });

  test('the dispatcher counts requests together with the others, and can open tokens', () => {
    const { pod } = pods.find(({ name }) => name === 'brx-sync-dispatcher')!;
    const config = configOf(pod, pod.containers[0]!);
    expect(config.redis.url).toBe(SECRETS['redis-url']);
    expect(config.secrets.keys).toHaveLength(1);
  });
});

describe('the catalogue', () => {
  const patched = structuredClone(pods.find(({ name }) => name === 'brx-sync-ingest')!.pod);
  for (const { target, patch } of kustomizations.find(({ folder }) => folder === 'catalogue')?.file.patches ?? []) {
    expect(target).toEqual({ kind: 'Deployment', name: 'brx-sync-ingest' });
    for (const { op, path, value } of parse(patch) as { op: string; path: string; value: never }[]) {
      const to = path.replace('/spec/template/spec/', '');
      expect(op).toBe('add');
      if (to === 'containers/0/env/-') patched.containers[0]!.env.push(value);
      else if (to === 'volumes/0/secret/items/-') patched.volumes[0]!.secret.items.push(value);
      else throw new Error(`nothing is there: ${path}`);
    }
  }

  test('is MySQL, behind Redis, for whoever applies bulk syncs; the secret the manual makes has a file for it', () => {
    const config = configOf(patched, patched.containers[0]!);
    expect(config.mysql.url).toBe(SECRETS['mysql-url']);
    expect(config.redis.url).toBe(SECRETS['redis-url']);
    const made = [...readFileSync(`${ROOT}/README.md`, 'utf8').matchAll(/--from-file=([a-z-]+)/g)].map(([, file = '']) => file);
    expect(made.toSorted()).toEqual(Object.keys(SECRETS).sort());
  });

  test('is in the example', () => {
    expect(kustomizations.find(({ folder }) => folder === 'example/workers')?.file.components).toContain('../../catalogue');
  });
});

describe('roles', () => {
  const rolesOf = ({ args }: Container): string[] => (args[args.indexOf('--roles') + 1] ?? '').split(',');

  test('each has its deployment, and every one answers probes', () => {
    const all = deployments.map(({ spec }) => rolesOf(spec.template.spec.containers[0]!));
    for (const roles of all) {
      expect(roles).toContain('http');
      for (const role of roles) expect(ROLES).toContain(role);
    }
    expect(all.flat().filter((role) => role !== 'http').sort()).toEqual(ROLES.filter((role) => role !== 'http').sort());
  });

  test.each(deployments)('$metadata.name is selected by its labels, and drained one at a time', ({ metadata, spec }) => {
    expect(spec.selector.matchLabels).toEqual(spec.template.metadata.labels);
    expect(deployments.filter((other) => JSON.stringify(other.spec.selector.matchLabels) === JSON.stringify(spec.selector.matchLabels))).toHaveLength(1);
    const budgets = ofKind<{ metadata: Metadata; spec: { maxUnavailable: number; selector: { matchLabels: unknown } } }>('PodDisruptionBudget').filter((budget) => budget.metadata.name === metadata.name);
    expect(budgets).toMatchObject([{ spec: { maxUnavailable: 1, selector: { matchLabels: spec.selector.matchLabels } } }]);
    expect(spec.replicas).toBeGreaterThanOrEqual(2);
    expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 0, maxUnavailable: 1 }); // what the sum of connections counts on
  });

  test('after a restore, commands run in an instance with every secret that calls nobody', () => {
    const [, patch = ''] = /kubectl -n brx-sync patch deployment brx-sync-dispatcher --type=json -p '(.+)'$/m.exec(readFileSync(`${ROOT}/README.md`, 'utf8')) ?? [];
    const [role, replicas] = JSON.parse(patch) as { op: string; path: string; value: unknown }[];
    expect(replicas).toEqual({ op: 'replace', path: '/spec/replicas', value: 1 });
    expect(role).toEqual({ op: 'replace', path: '/spec/template/spec/containers/0/args/4', value: 'http' });
    const { args } = pods.find(({ name }) => name === 'brx-sync-dispatcher')!.pod.containers[0]!;
    expect(args.slice(3)).toEqual(['--roles', 'dispatcher,http']);
  });

  test('the job does what prepares a deployment, in order', () => {
    const { pod } = pods.find(({ name }) => name === 'brx-sync-prepare')!;
    expect(containersOf(pod).map(({ args }) => args.slice(2).join(' '))).toEqual(['migrate', 'topics apply', 'schemas apply']);
  });
});

describe('pods', () => {
  test.each(pods)('$name has no rights, asks for what it needs, and is given time to stop', ({ pod }) => {
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } });
    expect(readFileSync('Dockerfile', 'utf8')).toContain('USER 1000:1000');
    for (const container of containersOf(pod)) {
      expect(container.image).toBe('brx-sync');
      expect(container.args.slice(0, 2)).toEqual(['node', 'dist/src/cli/main.js']);
      expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
      const megabytes = Number.parseInt(container.resources.limits.memory);
      expect(Number.parseInt(container.resources.requests.memory)).toBeLessThanOrEqual(megabytes);
      const heap = /--max-old-space-size=(\d+)/.exec(container.env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '')?.[1];
      if (heap !== undefined) expect(Number(heap)).toBeLessThanOrEqual(megabytes * 0.7); // buffers are outside the heap
    }
  });

  describe('probes', () => {
    let server: HttpServer;
    beforeAll(async () => {
      const fine = report([]);
      server = createHttpServer({ config: { host: '127.0.0.1', port: 0, token: SECRETS['http-token'], rateLimit: 1_000 }, logger: silentLogger, metrics: createMetrics({ process: false }), health: { live: () => fine, ready: () => Promise.resolve(fine) } });
      await server.start();
    });
    afterAll(() => server.stop());

    test.each(deployments)('of $metadata.name ask routes that answer without the token, on the port the program listens on', async ({ spec }) => {
      const pod = spec.template.spec;
      const container = pod.containers[0]!;
      const config = configOf(pod, container);
      expect(container.ports).toEqual([{ name: 'http', containerPort: config.http.port }]);
      expect(config.http.host).toBe('0.0.0.0');
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
        expect(probe?.httpGet.port).toBe('http');
        expect((await fetch(`${server.url}${probe?.httpGet.path}`)).status).toBe(200);
      }
      expect(container.livenessProbe?.httpGet.path).toBe('/health/live'); // one that asks databases would restart everybody in an outage
      expect(pod.terminationGracePeriodSeconds! * 1_000).toBeGreaterThan(config.shutdownTimeoutMs);
    });

    test('the monitor scrapes a route that wants the token it has', async () => {
      const [monitor] = ofKind<{ spec: { selector: { matchExpressions: { key: string; values: string[] }[] }; podMetricsEndpoints: { port: string; path: string; authorization: { credentials: { name: string; key: string } }; relabelings: { targetLabel: string; replacement: string }[] }[] } }>('PodMonitor');
      const endpoint = monitor?.spec.podMetricsEndpoints[0];
      const token = SECRETS[endpoint?.authorization.credentials.key ?? ''];
      expect((await fetch(`${server.url}${endpoint?.path}`)).status).toBe(401);
      expect((await fetch(`${server.url}${endpoint?.path}`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
      expect(endpoint?.relabelings).toContainEqual({ targetLabel: 'job', replacement: 'brx-sync' });
      expect(new Set(monitor?.spec.selector.matchExpressions[1]?.values)).toEqual(new Set(deployments.map(({ metadata }) => metadata.labels['app.kubernetes.io/component'])));
    });
  });
});

describe('scaling', () => {
  test.each(scalers)('$metadata.name asks for the lag of the group and topic its role reads, within its partitions', ({ spec }) => {
    const deployment = deployments.find(({ metadata }) => metadata.name === spec.scaleTargetRef.name)!;
    const config = configOf(deployment.spec.template.spec, deployment.spec.template.spec.containers[0]!);
    const [group, topic] = deployment.metadata.name.endsWith('ingest') ? [config.ingest.groupId, TOPICS.marketplaceEvents] : [config.saga.groupId, TOPICS.sagaEvents];
    const [trigger] = spec.triggers;
    expect(trigger).toMatchObject({ type: 'kafka', metadata: { consumerGroup: group, topic: topic.name } });
    expect(topic.partitions % spec.maxReplicaCount).toBe(0); // else partitions cannot be shared out evenly at the cap
    expect(spec.minReplicaCount).toBeGreaterThanOrEqual(1);
    expect(Object.values(trigger?.metadata ?? {}).every((value) => typeof value === 'string')).toBe(true);
  });

  test('at all caps together, connections are as many as the manual says', () => {
    const manual = readFileSync(`${ROOT}/README.md`, 'utf8');
    let sum = 0;
    for (const { metadata, spec } of deployments) {
      const config = configOf(spec.template.spec, spec.template.spec.containers[0]!);
      const most = scalers.find((scaler) => scaler.spec.scaleTargetRef.name === metadata.name)?.spec.maxReplicaCount ?? spec.replicas;
      const role = metadata.labels['app.kubernetes.io/component'] ?? '';
      const each = config.postgres.poolMax + config.replicas.poolMax + (role === 'relay' ? 1 : 0); // every role answers HTTP, which reads through connections of its own
      expect(manual).toMatch(new RegExp(`^\\| \`${role}\` \\| ${most} \\| ${config.postgres.poolMax},.* ${config.replicas.poolMax} for the API\\b.* \\| ${most * each} \\|$`, 'm'));
      sum += most * each;
    }
    const operators = Number(/^\| `prepare` and operators \|.*\| (\d+) \|$/m.exec(manual)?.[1]);
    expect(manual).toContain(`**${sum + operators}**`);
    const server = Number(/a server that allows (\d+) or more/.exec(manual)?.[1]);
    expect(sum + operators).toBeLessThanOrEqual(server * 0.8);
  });
});
