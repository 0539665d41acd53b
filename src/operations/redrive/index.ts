/** Dead letters sent again: what would come of it, sending them, corrected or not, and what came of it. */
export { correct, type Corrected, type Correction } from './correct.ts';
export type { Verdict } from './judge.ts';
export { planRedrive, type Planned, type RedriveDeps } from './plan.ts';
export { outcomesOf, redrive, redriveOne, type RedriveOutcome, type RedriveResult, type RunOptions } from './run.ts';
