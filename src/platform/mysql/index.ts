export { createMysql, type Mysql, type MysqlOptions } from './mysql.ts';
export type { Row, RunStatement } from './server.ts';
