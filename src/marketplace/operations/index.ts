export { OPERATION_KINDS, OPERATION_REASONS, OPERATION_STATES, type AskedOperation, type Evidence, type Listed, type Operation, type OperationKind, type OperationReason, type OperationState } from './operation.ts';
export { askOperations, readListed, readOperations } from './operations.sql.ts';
export { giveVerdicts, selectItemOperations, selectOperations, type OperationDetail, type Verdict } from './verdicts.sql.ts';
