import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { packageVersion } from '../../src/platform/version.ts';
import { IMAGES, kafkaEnvironment } from '../../stack/images.ts';
import { DEFAULT_PORTS, PORT_VARIABLES, SERVICE_NAMES } from '../../stack/model.ts';

/** The part of Compose's schema this file uses. Strict: a key that is misspelt, or new here and unknown to these checks, is refused. */
const duration = z.string().regex(/^\d+(ms|s|m)$/);
const healthcheck = z.union([
  z.strictObject({ disable: z.literal(true) }),
  z.strictObject({ test: z.tuple([z.enum(['CMD', 'CMD-SHELL'])], z.string().min(1)).refine((words) => words.length > 1), interval: duration, timeout: duration, retries: z.int().min(1).max(20), start_period: duration, start_interval: duration }),
]);
const ServiceSchema = z.strictObject({
  image: z.string().regex(/^[a-z0-9./-]+:v?\d[\w.-]*$/), // a tag that is a version: neither latest nor none
  build: z.literal('.').optional(),
  hostname: z.string().optional(),
  profiles: z.array(z.enum(['app', 'obs', 'ui'])).length(1).optional(),
  init: z.boolean().optional(),
  command: z.array(z.string()).min(1).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.enum(['service_healthy', 'service_completed_successfully']) })).optional(),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).optional(), // strings: YAML's true and 1 are not what a container gets
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\$\{BRX_STACK_[A-Z_]+_PORT:-\d+\}:\d+$/)).optional(),
  volumes: z.array(z.string().regex(/^(\.\/ops\/[\w./-]+:\/[\w./-]+:ro|[a-z]+:\/[\w./-]+)$/)).optional(),
  restart: z.enum(['no', 'unless-stopped']).optional(),
  stop_grace_period: duration.optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.tuple([z.literal('ALL')]).optional(),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]).optional(),
  healthcheck,
});
const FileSchema = z.strictObject({ name: z.literal('brx-sync'), services: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), ServiceSchema), volumes: z.record(z.string(), z.null()) });

const file = FileSchema.parse(parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true, uniqueKeys: true }));
const services = Object.entries(file.services);

describe('docker-compose.yml', () => {
  it('has the services of the stack by default and the others in profiles', () => {
    const byDefault = services.filter(([, service]) => service.profiles === undefined).map(([name]) => name);
    expect(byDefault.sort()).toEqual([...SERVICE_NAMES].sort());
    expect([...new Set(services.flatMap(([, { profiles = [] }]) => profiles))].sort()).toEqual(['app', 'obs', 'ui']);
  });

  it('lets nobody beyond this machine in: every port is bound to 127.0.0.1 and can be moved', () => {
    for (const [name, { ports = [] }] of services) for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:\$\{BRX_STACK_[A-Z_]+_PORT:-\d+\}:\d+$/);
  });

  it.each(SERVICE_NAMES)('publishes %s on the port the native stack uses', (name) => {
    expect(file.services[name]?.ports?.[0]).toContain(`\${${PORT_VARIABLES[name]}:-${DEFAULT_PORTS[name]}}`);
  });

  it('pins every image to a version: no latest, no missing tag', () => {
    for (const [name, { image }] of services) expect(image, name).toMatch(/^[a-z0-9./-]+:v?\d[\w.-]*$/);
  });

  it.each(SERVICE_NAMES)('runs the same %s as the tests’ containers', (name) => {
    expect(file.services[name]?.image).toBe(IMAGES[name]);
  });

  it('configures Kafka as the tests’ containers do', () => {
    expect(file.services['kafka']?.environment).toEqual(kafkaEnvironment({ advertised: '127.0.0.1:${BRX_STACK_KAFKA_PORT:-19092}' }));
  });

  it('checks the health of everything that keeps running, and waits for it', () => {
    for (const [name, service] of services) {
      const ends = services.some(([, { depends_on }]) => depends_on?.[name]?.condition === 'service_completed_successfully');
      expect('disable' in service.healthcheck, name).toBe(ends);
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(Object.keys(file.services), name).toContain(needed);
        expect('disable' in (file.services[needed]?.healthcheck ?? {}), `${name} → ${needed}`).toBe(condition === 'service_completed_successfully');
        const profiles = file.services[needed]?.profiles;
        if (profiles !== undefined) expect(profiles, `${name} → ${needed}`).toEqual(service.profiles); // else it is not there to wait for
      }
    }
  });

  it('keeps data in named volumes, and mounts only files that are there', () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    for (const source of used.filter((each) => each.startsWith('./'))) expect(existsSync(source), source).toBe(true);
    expect([...new Set(used.filter((each) => !each.startsWith('./')))].sort()).toEqual(Object.keys(file.volumes).sort());
    expect(file.services['postgres']?.volumes).toContain('postgres:/var/lib/postgresql'); // not .../data: the image of 18 refuses it
  });

  it('uses each port of this machine once', () => {
    const ports = services.flatMap(([, service]) => (service.ports ?? []).map((port) => /:-(\d+)\}/.exec(port)?.[1]));
    expect(new Set([...ports, String(DEFAULT_PORTS.kafkaController), String(DEFAULT_PORTS.registryManagement)]).size).toBe(ports.length + 2);
  });

  it('runs BRX Sync as one that prepares and two that work, the same but for their port', () => {
    const { prepare, 'worker-1': one, 'worker-2': other } = file.services;
    expect(prepare?.command?.at(-1)).toBe(['migrate', 'topics apply', 'schemas apply', 'catalogue seed'].map((words) => `node dist/src/cli/main.js ${words}`).join(' && '));
    expect(prepare?.restart).toBe('no');
    for (const worker of [one, other]) {
      expect(worker?.image).toBe(`brx-sync:${packageVersion()}`);
      expect(worker?.command).toBeUndefined(); // the image's: all roles
      expect(worker?.depends_on?.['prepare']?.condition).toBe('service_completed_successfully');
    }
    expect({ ...other, ports: [] }).toEqual({ ...one, ports: [] });
  });

  it.each(['prepare', 'worker-1', 'worker-2'])('gives %s a configuration the program accepts, and time to stop', (name) => {
    const service = file.services[name];
    const config = readConfig(service?.environment ?? {});
    expect(config.kafka.brokers).toEqual(['kafka:29092']);
    if (name !== 'prepare') expect(Number.parseInt(service?.stop_grace_period ?? '0') * 1_000).toBeGreaterThan(config.shutdownTimeoutMs);
  });

  it('gives Prometheus every worker, their token, the rules, and Alertmanager', () => {
    const prometheus = parse(readFileSync('ops/prometheus/prometheus.yml', 'utf8')) as {
      rule_files: string[];
      alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] };
      scrape_configs: { job_name: string; authorization: { credentials: string }; static_configs: { targets: string[] }[] }[];
    };
    const [job] = prometheus.scrape_configs;
    const workers = services.filter(([name]) => name.startsWith('worker'));
    expect(job?.job_name).toBe('brx-sync'); // alerts ask for it
    expect(job?.static_configs[0]?.targets).toEqual(workers.map(([name]) => `${name}:8080`));
    for (const [, { environment }] of workers) expect(environment?.['BRX_HTTP_TOKEN']).toBe(job?.authorization.credentials);
    expect(prometheus.rule_files).toEqual(['rules/*.yml']);
    expect(file.services['prometheus']?.volumes).toContain('./ops/prometheus/rules:/etc/prometheus/rules:ro');
    expect(prometheus.alerting.alertmanagers[0]?.static_configs[0]?.targets).toEqual(['alertmanager:9093']);
  });

  it('provisions Grafana where its provider looks, and shows the overview first', () => {
    const { volumes, environment } = file.services['grafana'] ?? {};
    const { providers } = parse(readFileSync('ops/grafana/dashboards.yml', 'utf8')) as { providers: { options: { path: string } }[] };
    expect(volumes).toContain(`./ops/grafana/dashboards:${providers[0]?.options.path}:ro`);
    expect(volumes).toContain('./ops/grafana/dashboards.yml:/etc/grafana/provisioning/dashboards/brx.yml:ro');
    const home = environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? '';
    expect(existsSync(home.replace(providers[0]?.options.path ?? '', 'ops/grafana/dashboards'))).toBe(true);
  });

  it('lets Kafka UI decode records by the registry, and hides who bought', () => {
    expect(file.services['kafka-ui']?.environment).toMatchObject({
      KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS: file.services['prepare']?.environment?.['BRX_KAFKA_BROKERS'],
      KAFKA_CLUSTERS_0_SCHEMAREGISTRY: file.services['prepare']?.environment?.['BRX_SCHEMA_REGISTRY_URL'],
      KAFKA_CLUSTERS_0_DEFAULTVALUESERDE: 'SchemaRegistry',
      KAFKA_CLUSTERS_0_MASKING_0_FIELDS_0: 'buyer_id',
    });
  });

  it.each([
    ['a floating tag', { image: 'redis:latest' }],
    ['no tag', { image: 'redis' }],
    ['a port for everyone', { ports: ['6379:6379'] }],
    ['a port that cannot be moved', { ports: ['127.0.0.1:6379:6379'] }],
    ['no health check', { healthcheck: undefined }],
    ['a check that waits 30 s for its first look', { healthcheck: { test: ['CMD', 'true'], interval: '30s' } }],
    ['a name of its own', { container_name: 'redis' }],
    ['a misspelt key', { heathcheck: {} }],
    ['a wait for a start alone', { depends_on: { kafka: { condition: 'service_started' } } }],
  ])('is refused with %s', (_what, change) => {
    expect(ServiceSchema.safeParse(file.services['redis']).success).toBe(true);
    expect(ServiceSchema.safeParse({ ...file.services['redis'], ...change }).success).toBe(false);
  });
});

describe('Dockerfile', () => {
  const lines = readFileSync('Dockerfile', 'utf8').split('\n');
  const runtime = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  it('runs as a user without rights, named by number, with node as process 1 that gets the signal', () => {
    expect(runtime.findLast((line) => line.startsWith('USER'))).toBe('USER 1000:1000');
    expect(runtime).toContain('STOPSIGNAL SIGTERM');
    expect(runtime.find((line) => line.startsWith('CMD'))).toBe('CMD ["node", "dist/src/cli/main.js", "start"]');
  });

  it('pins its base image and checks health without curl', () => {
    for (const line of lines.filter((each) => each.startsWith('FROM '))) expect(line).toMatch(/^FROM node:24-bookworm-slim( AS build)?$/);
    expect(runtime.join('\n')).toMatch(/HEALTHCHECK[^]*CMD \["node"/);
  });

  it('has the version of the package, a revision, and what scanners need to list its packages', () => {
    expect(runtime.join('\n')).toContain(`org.opencontainers.image.version="${packageVersion()}"`);
    expect(runtime.join('\n')).toContain('org.opencontainers.image.revision="$REVISION"');
    expect(runtime.join('\n')).toMatch(/COPY --from=build \S*package.json \S*package-lock.json/);
  });

  it('takes what it needs from the build, one layer of packages without those of development', () => {
    expect(lines.filter((line) => line.startsWith('FROM '))).toHaveLength(2);
    expect(lines.join('\n')).toContain('npm prune --omit=dev');
    for (const line of runtime.filter((each) => each.startsWith('COPY'))) expect(line).toMatch(/^COPY --from=build /);
    expect(lines.filter((line) => /^ADD |--privileged|\bcurl\b|\bwget\b/.test(line))).toEqual([]);
    const copied = lines.filter((line) => /^COPY (?!--from)/.test(line)).flatMap((line) => line.split(' ').slice(1, -1));
    const ignored = readFileSync('.dockerignore', 'utf8').split('\n');
    for (const source of copied) {
      expect(existsSync(source), source).toBe(true);
      expect(ignored, 'of .dockerignore').toContain(`!${source}`);
    }
    expect(ignored).toContain('*');
    expect(ignored).not.toContain('!.env');
  });

  it('has every package the program imports: none is for development only', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    const imported = new Set(files.flatMap((name) => [...readFileSync(`src/${name}`, 'utf8').matchAll(/^(?:import|export) (?!type )[^'\n]*from '([^'.][^']*)'/gm)].map(([, specifier = '']) => specifier)).filter((specifier) => !specifier.startsWith('node:')));
    expect(imported.size).toBeGreaterThan(8);
    for (const specifier of imported) expect(Object.keys(dependencies)).toContain(specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/'));
  });
});
