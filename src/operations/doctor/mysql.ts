import { countPrints, PRINT_TABLES } from '../../catalogue/index.ts';
import type { MysqlConfig } from '../../config.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { createMysql, type Mysql } from '../../platform/mysql/index.ts';
import { createIndex, selectCatalogueServer } from './doctor.sql.ts';
import { examineSafely } from './examine.ts';
import { sayOf, type Finding } from './finding.ts';

const say = sayOf('mysql');

/** The primary and each replica by itself: asked through the pool, a dead replica would be passed over. */
export async function examineMysql(config: MysqlConfig & { url: string }, { clock, logger }: { clock: Clock; logger: Logger }): Promise<Finding[]> {
  const servers = [{ title: 'primary', url: config.url }, ...config.replicaUrls.map((url, index) => ({ title: `replica ${index + 1}`, url }))];
  const findings: Finding[] = [];
  for (const { title, url } of servers) {
    const mysql = createMysql({ ...config, url, replicaUrls: [] }, { clock, logger });
    try {
      findings.push(...(await examineSafely('mysql', title, () => examineServer(mysql, title, config.poolMax))));
    } finally {
      await mysql.close();
    }
  }
  return findings;
}

async function examineServer(mysql: Mysql, title: string, poolMax: number): Promise<Finding[]> {
  await mysql.ping();
  const server = await selectCatalogueServer(mysql.query);
  const prints = await countPrints(mysql.query);
  const total = Object.values(prints).reduce((sum, count) => sum + count, 0);
  const unindexed = PRINT_TABLES.filter((table) => !server.indexed.includes(table));
  const room = server.maxConnections - server.connections;
  return [
    say.ok(title, server.version),
    total > 0 ? say.ok(`${title}: catalogue`, `${total.toLocaleString('en-US')} prints name a blueprint`) : say.warning(`${title}: catalogue`, 'no print names a blueprint, so nothing can be mapped', 'load the catalogue; `brx-sync catalogue seed` makes one up on a local server'),
    unindexed.length === 0
      ? say.ok(`${title}: indexes`, 'cardtrader_id is indexed in all four tables')
      : say.failure(`${title}: indexes`, `cardtrader_id is not indexed in ${unindexed.join(', ')}: every look-up reads the whole table`, unindexed.map(createIndex).join('; ')),
    room >= poolMax
      ? say.ok(`${title}: connections`, `a process may take ${poolMax}; ${server.connections} of ${server.maxConnections} are in use`)
      : say.warning(`${title}: connections`, `a process may take ${poolMax}, and ${server.connections} of ${server.maxConnections} are in use`, 'lower BRX_MYSQL_POOL_MAX, or raise max_connections'),
  ];
}
