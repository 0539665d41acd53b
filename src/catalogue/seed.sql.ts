import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunStatement } from '../platform/mysql/index.ts';
import type { MadeUpPrint } from './made-up.ts';
import { PRINT_TABLES, type PrintTable } from './mapping.ts';

/** mysql/catalogue.sql beside package.json, from src/catalogue as from dist/src/catalogue. */
const DDL_FILE = fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../../mysql/catalogue.sql' : '../../mysql/catalogue.sql', import.meta.url));
const LOCK = 'brx-sync catalogue seed';

/** Makes the tables that are missing. */
export async function createTables(run: RunStatement): Promise<void> {
  const text = readFileSync(DDL_FILE, 'utf8').replaceAll(/^--.*$/gm, '');
  for (const statement of text.split(';')) if (statement.trim() !== '') await run(statement);
}

/** One seeding at a time on a server; false if another one is under way. Ends with the connection. */
export async function takeSeedLock(run: RunStatement): Promise<boolean> {
  const [row] = await run('SELECT GET_LOCK(?, 0) AS taken', [LOCK]);
  return Number(row?.['taken']) === 1;
}

export async function releaseSeedLock(run: RunStatement): Promise<void> {
  await run('SELECT RELEASE_LOCK(?)', [LOCK]);
}

/** Those of the four tables that are there and hold anything this command did not write: a table without its mark, or rows without it. */
export async function foreignTables(run: RunStatement): Promise<PrintTable[]> {
  const columns = await run('SELECT TABLE_NAME AS name, MAX(COLUMN_NAME = ?) AS marked FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (?) GROUP BY TABLE_NAME', ['brx_seed', [...PRINT_TABLES]]);
  const marked = new Map(columns.map((row) => [row['name'], Number(row['marked']) === 1]));
  const foreign: PrintTable[] = [];
  for (const table of PRINT_TABLES) {
    if (!marked.has(table)) continue;
    const [row] = marked.get(table) === true ? await run(`SELECT EXISTS (SELECT 1 FROM ${table} WHERE brx_seed IS NULL) AS found`) : [{ found: 1 }];
    if (Number(row?.['found']) !== 0) foreign.push(table);
  }
  return foreign;
}

/** Empties a table of which `foreignTables` has nothing to say. */
export async function emptyTable(run: RunStatement, table: PrintTable): Promise<void> {
  await run(`TRUNCATE TABLE ${table}`);
}

/** Inserts prints of one table; a few thousand at most. */
export async function insertPrints(run: RunStatement, table: PrintTable, prints: readonly MadeUpPrint[], seed: number): Promise<void> {
  await run(`INSERT INTO ${table} (id, cardtrader_id, brx_seed) VALUES ?`, [prints.map(({ id, cardtraderId }) => [id, cardtraderId, seed])]);
}
