/** The words of the local stack: its services, where they live, and what everyone else needs to know of them. */

export const SERVICE_NAMES = ['kafka', 'registry', 'postgres', 'mariadb', 'redis'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export const STACK_SOURCES = ['environment', 'containers', 'native'] as const;
export type StackSource = (typeof STACK_SOURCES)[number];

/** Where the services answer. `kafkaBrokers` is `host:port[,host:port]`, the others are URLs. */
export interface StackUrls {
  source: StackSource;
  kafkaBrokers: string;
  registryUrl: string;
  databaseUrl: string;
  mysqlUrl: string;
  redisUrl: string;
}

export type UrlKey = Exclude<keyof StackUrls, 'source'>;

/** The URL of each service, and the variable that gives it from outside. */
export const URL_VARIABLES: Readonly<Record<UrlKey, string>> = {
  kafkaBrokers: 'BRX_KAFKA_BROKERS',
  registryUrl: 'BRX_SCHEMA_REGISTRY_URL',
  databaseUrl: 'BRX_DATABASE_URL',
  mysqlUrl: 'BRX_MYSQL_URL',
  redisUrl: 'BRX_REDIS_URL',
};

/** Default ports, far from the usual ones: instances of the system are never touched. */
export const DEFAULT_PORTS = {
  kafka: 19_092,
  kafkaController: 19_093,
  registry: 18_081,
  registryManagement: 18_082,
  postgres: 15_432,
  mariadb: 13_306,
  redis: 16_379,
} as const;

export type PortName = keyof typeof DEFAULT_PORTS;
export type StackPorts = Readonly<Record<PortName, number>>;

export const PORT_VARIABLES: Readonly<Record<PortName, string>> = {
  kafka: 'BRX_STACK_KAFKA_PORT',
  kafkaController: 'BRX_STACK_KAFKA_CONTROLLER_PORT',
  registry: 'BRX_STACK_REGISTRY_PORT',
  registryManagement: 'BRX_STACK_REGISTRY_MANAGEMENT_PORT',
  postgres: 'BRX_STACK_POSTGRES_PORT',
  mariadb: 'BRX_STACK_MARIADB_PORT',
  redis: 'BRX_STACK_REDIS_PORT',
};

export const VERSIONS = { kafka: '4.3.1', log4jSlf4j: '2.25.4', registry: '3.3.3', mavenDependencyPlugin: '3.8.1' } as const;

export const REGISTRY_PATH = '/apis/ccompat/v7';

/** Addresses of the native stack. PostgreSQL trusts loopback; MariaDB's password is no secret, it only suits both ways. */
export function nativeUrls(ports: StackPorts): StackUrls {
  return {
    source: 'native',
    kafkaBrokers: `127.0.0.1:${ports.kafka}`,
    registryUrl: `http://127.0.0.1:${ports.registry}${REGISTRY_PATH}`,
    databaseUrl: `postgresql://brx@127.0.0.1:${ports.postgres}/brx`,
    mysqlUrl: `mysql://brx:brx@127.0.0.1:${ports.mariadb}/brx`,
    redisUrl: `redis://127.0.0.1:${ports.redis}`,
  };
}

/** Addresses of the Compose stack: the same ports, and a password for PostgreSQL, which its image insists on. */
export function containerUrls(ports: StackPorts): StackUrls {
  return { ...nativeUrls(ports), source: 'containers', databaseUrl: `postgresql://brx:brx@127.0.0.1:${ports.postgres}/brx` };
}

/** A line for whoever waits: progress of downloads, installs and starts. */
export type Report = (line: string) => void;
