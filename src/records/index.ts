/** A Kafka record into a record of the contract, or into a dead letter with its reason. */
export { buryDeadLetters, pruneDeadLetters } from './dead-letters.ts';
export { readBuried } from './dead-letters.sql.ts';
export { Decoder } from './decode.ts';
export { inspect, type Inspected } from './inspect.ts';
export { countDeadLetters, LETTER_STATES, selectDeadLetters, type DeadLetter, type LetterFilter, type LetterPage, type LetterState } from './letters.sql.ts';
export { DEAD_LETTER_REASONS, type DeadEntry, type DeadLetterReason, type Entry, type EventEntry } from './record.ts';
export { discardDeadLetters, letterTarget, redriveDeadLetters, type By, type Redriven } from './redrive.ts';
export { sourceColumns, sourceRecord, type SourceColumns } from './source-columns.ts';
