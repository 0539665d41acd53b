export { noteChanges, type StockChange } from './note.ts';
export { setListingSync, type SyncSettings } from './settings.ts';
export { accountRemoteChanges, askSync, selectProblems, writeProblems, type ProblemRow } from './sync.sql.ts';
export { copiesWanted, detailsToSend, fingerprintOf, mayMergeWith, needOf, spareCopies, typedProperties, type Details, type Problem, type Stock } from './wanted.ts';
