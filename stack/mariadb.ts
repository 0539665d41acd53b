import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { initialisedData } from './data.ts';
import { PORT_VARIABLES } from './model.ts';
import type { Owner } from './owner.ts';
import { run } from './run.ts';
import type { NativeService } from './instance.ts';

export interface MariadbPlace {
  mariadbd: string;
  installDb: string;
  port: number;
  owner: Owner | undefined;
}

/** MariaDB, the stand-in for the platform's MySQL. It reads none of the system's option files. */
export function mariadbService({ mariadbd, installDb, port, owner }: MariadbPlace): NativeService {
  return {
    name: 'mariadb',
    title: 'MariaDB',
    address: `127.0.0.1:${port}`,
    ports: [{ port, variable: PORT_VARIABLES.mariadb, title: 'MariaDB' }],
    owner,
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
    prepare: async (home) => {
      const data = await initialisedData(home, owner, async (folder) => {
        const args = ['--no-defaults', `--datadir=${folder}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
        await run(installDb, args, { cwd: home, owner, environment: { LANG: 'C.UTF-8', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
      });
      const initFile = join(home, 'init.sql');
      writeFileSync(initFile, INIT_SQL);
      const args = [
        '--no-defaults',
        `--datadir=${data}`,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        '--socket=mariadb.sock', // relative to the data: the name of a socket may have 107 characters only
        '--pid-file=mariadb.pid',
        `--init-file=${initFile}`,
        '--skip-name-resolve',
        '--character-set-server=utf8mb4',
        '--innodb-buffer-pool-size=64M',
        '--innodb-log-file-size=48M',
        '--max-connections=200',
      ];
      return { program: mariadbd, args, cwd: data, owner, environment: { LANG: 'C.UTF-8', TZ: 'UTC' } };
    },
    probe: () => probeMysql(`mysql://brx:brx@127.0.0.1:${port}/brx`),
  };
}

const INIT_SQL = `CREATE DATABASE IF NOT EXISTS brx CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'brx'@'%' IDENTIFIED BY 'brx';
GRANT ALL PRIVILEGES ON *.* TO 'brx'@'%' WITH GRANT OPTION;
`;

/** Resolves when it answers a query. */
export async function probeMysql(url: string): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 3_000 });
  try {
    await connection.query('SELECT 1');
  } finally {
    connection.destroy();
  }
}
