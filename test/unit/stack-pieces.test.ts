import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { pom } from '../../stack/downloads.ts';
import { engineTargets } from '../../stack/engine.ts';
import { missingMessage } from '../../stack/install.ts';
import { freePorts, holderOf, listeningInodes, takenMessage, takenPorts } from '../../stack/ports.ts';
import { findPromtool } from '../../stack/promtool.ts';
import { readSettings } from '../../stack/settings.ts';
import { majorOf, missingPieces } from '../../stack/tools.ts';

describe('a port already taken', () => {
  const servers: ReturnType<typeof createServer>[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  it('is found, with who holds it', async () => {
    const [port = 0, free = 0] = await freePorts(2);
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const taken = await takenPorts([{ port, variable: 'BRX_STACK_REDIS_PORT', title: 'Redis' }, { port: free, variable: 'BRX_STACK_KAFKA_PORT', title: 'Kafka' }]);
    expect(taken.map((each) => each.port)).toEqual([port]);
    if (process.platform === 'linux') expect(holderOf(port)).toMatch(new RegExp(`^process ${process.pid} \\(`));
  });

  it('names the ports, their holders and the variables that move them', () => {
    const { message, remedy } = takenMessage([
      { port: 15_432, variable: 'BRX_STACK_POSTGRES_PORT', title: 'PostgreSQL', holder: 'process 7 (postgres)' },
      { port: 65_000, variable: 'BRX_STACK_REDIS_PORT', title: 'Redis', holder: undefined },
    ]);
    expect(message).toBe('2 ports are already taken:\n  15432 for PostgreSQL is held by process 7 (postgres)\n  65000 for Redis is held by a process we may not look at');
    expect(remedy).toContain('BRX_STACK_POSTGRES_PORT=16432 BRX_STACK_REDIS_PORT=64000 npm run stack:up');
  });

  it('counts only listening sockets of exactly that port', () => {
    const table = ['  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1',
      '   1: 0100007F:18EB 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 222 1',
      '   2: 0100007F:18EC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1'].join('\n');
    expect(listeningInodes(table, 6_379)).toEqual(['111']);
  });
});

describe('missing pieces', () => {
  it('are all named together, with one command', () => {
    const missing = missingPieces({}, [{ home: '/usr/lib/jvm/java-17', major: 17 }], { downloadsComplete: false });
    expect(missing.map(({ what }) => what.split(' ')[0])).toEqual(['a', 'Apache', 'PostgreSQL', 'MariaDB', 'Redis']);
    const { message, remedy } = missingMessage(missing, { debian: true, isRoot: false });
    expect(message).toMatch(/^the native stack needs 5 more things:\n {2}a JDK of at least 21 .*found only 17/);
    expect(remedy).toContain('sudo apt-get install --no-install-recommends openjdk-21-jre-headless maven postgresql mariadb-server redis-server');
    expect(remedy).toContain('JAVA_HOME');
  });

  it('leave Maven out once the downloads are there', () => {
    expect(missingPieces({}, [], { downloadsComplete: true }).map(({ what }) => what).join()).not.toContain('Maven');
  });

  it('are none when everything is there', () => {
    const all = { kafkaJava: 'j', registryJava: 'j', mvn: 'm', postgresBin: 'p', mariadbd: 'm', mariadbInstallDb: 'm', redisServer: 'r' };
    expect(missingPieces(all, [], { downloadsComplete: false })).toEqual([]);
  });

  it('JDK versions are read in both spellings', () => {
    expect(majorOf('IMPLEMENTOR="X"\nJAVA_VERSION="25.0.3"\n')).toBe(25);
    expect(majorOf('JAVA_VERSION="1.8.0_392"')).toBe(8);
    expect(majorOf('nothing')).toBeUndefined();
  });
});

describe('promtool', () => {
  it('that is missing and cannot be installed is told and missing, not a failure', async () => {
    const settings = { ...readSettings({}), isRoot: false };
    const told: string[] = [];
    expect(await findPromtool({ ...settings, environment: { PATH: '/nonexistent' } }, (line) => told.push(line))).toBeUndefined();
    expect(told.join('\n')).toMatch(/rules of ops\/prometheus are not run.*promtool/s);
  });
});

describe('downloads', () => {
  it('ask Maven for pinned versions of everything, plugins too', () => {
    const text = pom({ kafka: '/x/kafka', registry: '/x/registry' });
    const versions = [...text.matchAll(/<version>([^<]+)<\/version>/g)].map((match) => match[1]);
    expect(versions).toEqual(['1', '4.3.1', '4.3.1', '2.25.4', '3.8.1', '3.3.3']);
  });
});

describe('a checkout in a folder with characters XML keeps for itself', () => {
  it('is named so that Maven reads it as it is', () => {
    expect(pom({ kafka: '/x/R&D <1>/kafka', registry: '/y' })).toContain('<outputDirectory>/x/R&amp;D &lt;1>/kafka</outputDirectory>');
  });
});

describe('a file of settings that is none', () => {
  it('is told as what it is', () => {
    expect(() => readSettings({ BRX_ENV_FILE: tmpdir() })).toThrow(expect.objectContaining({ code: 'BRX_CONFIG', message: `the settings of ${tmpdir()} cannot be read (EISDIR)` }) as Error);
  });
});

describe('Docker engine', () => {
  it('is asked where DOCKER_HOST says, and otherwise where engines usually listen', () => {
    expect(engineTargets({ DOCKER_HOST: 'unix:///run/user/1/docker.sock', HOME: '/home/x' })).toEqual([{ socketPath: '/run/user/1/docker.sock' }]);
    expect(engineTargets({ DOCKER_HOST: 'tcp://127.0.0.1:2375' })).toEqual([{ host: '127.0.0.1', port: 2_375 }]);
    expect(engineTargets({ HOME: '/home/x', XDG_RUNTIME_DIR: '/run/user/1' })).toEqual([
      { socketPath: '/var/run/docker.sock' },
      { socketPath: '/home/x/.docker/run/docker.sock' },
      { socketPath: '/run/user/1/docker.sock' },
    ]);
  });
});

describe('a place an unprivileged server can reach', () => {
  it('is refused below a folder its user may not pass', async () => {
    const { closedAncestor } = await import('../../stack/owner.ts');
    const folder = mkdtempSync(join(tmpdir(), 'brx-closed-')); // mkdtemp makes it 0700
    try {
      expect(closedAncestor(join(folder, 'data'), { name: 'someone', uid: 64_000, gid: 64_000 })).toBe(folder);
      expect(closedAncestor('/', { name: 'someone', uid: 64_000, gid: 64_000 })).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
