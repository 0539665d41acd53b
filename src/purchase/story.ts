import { selectOperations } from '../marketplace/index.ts';
import { selectActions, type Database } from '../platform/postgres/index.ts';
import { selectSaga, selectSteps } from './select.sql.ts';
import type { SagaStory } from './timeline.ts';

/** Everything there is to tell of the sales of this id: one, unless several sellers have one. */
export async function readStory(database: Database, purchaseId: string, userId?: string): Promise<SagaStory[]> {
  const stories: SagaStory[] = [];
  for (const saga of await selectSaga(database, purchaseId, userId)) {
    const steps = await selectSteps(database, saga.userId, purchaseId);
    const operations = await selectOperations(database, saga.userId, purchaseId);
    stories.push({ saga, steps, operations, actions: await selectActions(database, purchaseId) });
  }
  return stories;
}
