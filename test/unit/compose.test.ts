import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { IMAGES, kafkaEnvironment } from '../../stack/images.ts';
import { DEFAULT_PORTS, PORT_VARIABLES, SERVICE_NAMES } from '../../stack/model.ts';

interface ComposeService {
  image?: string;
  build?: unknown;
  ports?: string[];
  volumes?: string[];
  profiles?: string[];
  container_name?: string;
  environment?: Record<string, string>;
  healthcheck?: { test?: unknown; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
}

const file = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as { version?: string; services: Record<string, ComposeService>; volumes: Record<string, unknown> };
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
      if (ends) expect(service.healthcheck?.disable, name).toBe(true);
      else expect(service.healthcheck?.test, name).toBeDefined();
      for (const { condition } of Object.values(service.depends_on ?? {})) expect(condition, name).not.toBe('service_started');
    }
  });

  it('keeps data in named volumes and fixes no container name', () => {
    for (const [name, { volumes = [], container_name }] of services) {
      expect(container_name, name).toBeUndefined();
      for (const volume of volumes) {
        const source = volume.split(':')[0] ?? '';
        if (!source.startsWith('./ops/')) expect(Object.keys(file.volumes), name).toContain(source);
      }
    }
    expect(file.services['postgres']?.volumes).toContain('postgres:/var/lib/postgresql'); // not .../data: the image of 18 refuses it
    expect(file.version).toBeUndefined();
  });

  it('gives Prometheus the token the worker asks for', () => {
    const prometheus = parse(readFileSync('ops/prometheus/prometheus.yml', 'utf8')) as { scrape_configs: { authorization: { credentials: string } }[] };
    expect(prometheus.scrape_configs[0]?.authorization.credentials).toBe(file.services['worker']?.environment?.['BRX_HTTP_TOKEN']);
  });
});

describe('Dockerfile', () => {
  const lines = readFileSync('Dockerfile', 'utf8').split('\n');
  const runtime = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  it('runs as a user without rights, with node as process 1', () => {
    expect(runtime).toContain('USER node');
    expect(runtime.find((line) => line.startsWith('CMD'))).toBe('CMD ["node", "dist/src/cli/main.js", "start"]');
  });

  it('pins its base image and checks health without curl', () => {
    for (const line of lines.filter((each) => each.startsWith('FROM '))) expect(line).toMatch(/^FROM node:24-bookworm-slim( AS build)?$/);
    expect(runtime.join('\n')).toMatch(/HEALTHCHECK[^]*CMD \["node"/);
  });
});
