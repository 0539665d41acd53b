/** A group's offsets set back, and what becomes of it: plan, apply, undo, watch; resets by others are noticed. */
export type { Effect } from './effect.ts';
export type { Group } from './group.ts';
export { createGroupMemory } from './memory.ts';
export { stoodAt, type Moves, type Target } from './plan.ts';
export { rebuildVerify, type RebuildProgress, type RebuildReport } from './rebuild.ts';
export type { RebuildDifference } from './rebuild.sql.ts';
export { applyReplay, planReplay, planUndo, undoObstacle, undoReplay, type By, type Plan, type ReplayDeps, type Request, type Undo } from './replay.ts';
export { selectReplay, selectReplays, type ReplayRow } from './replays.sql.ts';
export { durationOf, instantOf, offsetsOfFile } from './target.ts';
export { watchReplay, type Picture } from './watch.ts';
