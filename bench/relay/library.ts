import type pg from 'pg';
import { loadDependency } from '../dependencies.ts';

interface Message {
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly payload: { readonly text: string };
}

interface Library {
  DatabaseSetup: Record<'dropAndCreateTable' | 'createPollingFunction' | 'setupPollingIndexes', (config: object) => string>;
  initializePollingMessageListener: (config: object, handler: { handle: (message: Message) => Promise<void> }, logger: object) => [() => Promise<void>];
  getDisabledLogger: () => object;
}

export const loadLibrary = (): Library => loadDependency<Library>('pg-transactional-outbox');

export const LIBRARY_TABLE = { outboxOrInbox: 'outbox', schema: 'bench', table: 'outbox', nextMessagesName: 'next_outbox_messages' } as const;

export async function setUpLibrary(client: pg.Client): Promise<void> {
  const { DatabaseSetup } = loadLibrary();
  for (const sql of [DatabaseSetup.dropAndCreateTable, DatabaseSetup.createPollingFunction, DatabaseSetup.setupPollingIndexes]) await client.query(sql({ ...LIBRARY_TABLE, listenerRole: 'brx' }));
}
