import { IMAGES, kafkaEnvironment } from './images.ts';
import { REGISTRY_PATH, type Report, type StackUrls } from './model.ts';
import { freePorts } from './ports.ts';
import { waitForAll } from './probes.ts';

/** The stack as containers for one test run, on free ports, gone with the run. */

const READY_WITHIN_MS = 120_000;

/** Starts the five containers; `release` removes them. Testcontainers is a development dependency, so it is loaded only here. */
export async function startTestContainers(report: Report): Promise<{ urls: StackUrls; release: () => Promise<void> }> {
  const { GenericContainer, Wait } = await import('testcontainers');
  // Kafka tells its clients the address to come back to, so its port must be known before it starts; the registry's is fixed with it.
  const [kafkaPort] = await freePorts(1);
  if (kafkaPort === undefined) throw new Error('no free port');
  report('starting containers for the tests (the first time this also pulls images)');
  const container = (image: string, port: number, environment: Record<string, string>) =>
    new GenericContainer(image).withExposedPorts(port).withEnvironment(environment).withWaitStrategy(Wait.forListeningPorts()).withStartupTimeout(READY_WITHIN_MS);
  const pending = await Promise.allSettled([
    new GenericContainer(IMAGES.kafka).withExposedPorts({ container: 9092, host: kafkaPort }).withEnvironment(kafkaEnvironment({ advertised: `127.0.0.1:${kafkaPort}` })).withHostname('kafka').withStartupTimeout(READY_WITHIN_MS).start(),
    container(IMAGES.registry, 8080, { APICURIO_STORAGE_KIND: 'sql', APICURIO_STORAGE_SQL_KIND: 'h2', APICURIO_DATASOURCE_URL: 'jdbc:h2:mem:registry' }).start(),
    container(IMAGES.postgres, 5432, { POSTGRES_USER: 'brx', POSTGRES_PASSWORD: 'brx', POSTGRES_DB: 'brx' }).withCommand(['postgres', '-c', 'max_connections=200', '-c', 'max_wal_size=2GB']).start(),
    container(IMAGES.mariadb, 3306, { MARIADB_USER: 'brx', MARIADB_PASSWORD: 'brx', MARIADB_DATABASE: 'brx', MARIADB_RANDOM_ROOT_PASSWORD: 'yes' }).start(),
    container(IMAGES.redis, 6379, {}).start(),
  ]);
  const started = pending.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const release = async (): Promise<void> => {
    await Promise.all(started.map((each) => each.stop({ timeout: 10_000 })));
  };
  const failure = pending.find((outcome) => outcome.status === 'rejected');
  const [, registry, postgres, mariadb, redis] = started;
  if (failure !== undefined || registry === undefined || postgres === undefined || mariadb === undefined || redis === undefined) {
    await release();
    throw failure?.reason ?? new Error('a container is missing');
  }
  const urls: StackUrls = {
    source: 'containers',
    kafkaBrokers: `127.0.0.1:${kafkaPort}`,
    registryUrl: `http://127.0.0.1:${registry.getFirstMappedPort()}${REGISTRY_PATH}`,
    databaseUrl: `postgresql://brx:brx@127.0.0.1:${postgres.getFirstMappedPort()}/brx`,
    mysqlUrl: `mysql://brx:brx@127.0.0.1:${mariadb.getFirstMappedPort()}/brx`,
    redisUrl: `redis://127.0.0.1:${redis.getFirstMappedPort()}`,
  };
  try {
    await waitForAll(urls, READY_WITHIN_MS);
  } catch (error) {
    await release();
    throw error;
  }
  return { urls, release };
}
