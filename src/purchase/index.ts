/** Sales: reserved here, taken on both sides or on neither, always ended. */
export type { AdvanceDeps } from './advance.ts';
export { PurchaseFold, type HistoryRow } from './fold.ts';
export { SAGA_RECORDS } from './handle.ts';
export { countActiveSagas } from './sagas.sql.ts';
export { sagaMetrics, watchSagas } from './metrics.ts';
export type { SagaObserver } from './observer.ts';
export { operateSaga, refusalOf, type By, type Operated, type SagaVerb } from './operate.ts';
export { createSagaRole, type SagaRoleDeps } from './role.ts';
export { ENDED, STATES, type State } from './saga.ts';
export { selectSaga, selectSagas, type SagaFilter, type SagaPlace, type SagaRow } from './select.sql.ts';
export { createPurchaseContext, openFolds, readPurchases, writePurchases, type PurchaseContext } from './store.ts';
export { readStory } from './story.ts';
export { traceSteps } from './trace.ts';
export { advice, operationWords, standing, timeline, type SagaStory } from './timeline.ts';
