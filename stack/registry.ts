import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PORT_VARIABLES, REGISTRY_PATH } from './model.ts';
import type { NativeService } from './instance.ts';

export interface RegistryPlace {
  java: string;
  /** Folder of quarkus-run.jar. */
  app: string;
  port: number;
  managementPort: number;
}

/** Apicurio Registry through its Confluent-compatible API, schemas in an H2 file. */
export function registryService({ java, app, port, managementPort }: RegistryPlace): NativeService {
  const url = `http://127.0.0.1:${port}${REGISTRY_PATH}`;
  return {
    name: 'registry',
    title: 'Schema registry',
    address: url,
    ports: [
      { port, variable: PORT_VARIABLES.registry, title: 'the schema registry' },
      { port: managementPort, variable: PORT_VARIABLES.registryManagement, title: 'the schema registry (management)' },
    ],
    owner: undefined,
    stopSignal: 'SIGTERM',
    stopGraceMs: 20_000,
    prepare: async (home) => {
      const data = join(home, 'data');
      mkdirSync(data, { recursive: true });
      const properties = {
        'quarkus.http.host': '127.0.0.1',
        'quarkus.http.port': port,
        'quarkus.management.host': '127.0.0.1',
        'quarkus.management.port': managementPort,
        'quarkus.log.console.color': false,
        'apicurio.storage.kind': 'sql',
        'apicurio.storage.sql.kind': 'h2',
        'apicurio.datasource.url': `jdbc:h2:file:${join(data, 'registry')}`,
      };
      const args = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`), '-jar', join(app, 'quarkus-run.jar')];
      return { program: java, args, cwd: home, environment: { LANG: 'C.UTF-8' } };
    },
    probe: () => probeRegistry(url),
  };
}

/** Resolves when the registry lists its subjects. */
export async function probeRegistry(url: string): Promise<void> {
  const answer = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(3_000) });
  const body = await answer.text();
  if (!answer.ok || !body.startsWith('[')) throw new Error(`the registry answered ${answer.status}`);
}
