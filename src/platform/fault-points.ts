/**
 * Named places where a crash test may stop the program dead ("crash at a named point, never by luck").
 *
 * A fault point costs one property read when none is armed. It is armed only by `BRX_FAULT` (see config.ts), of the form
 * `name:action[:n]`: at the n-th passage (default 1) `kill` sends SIGKILL to this very process, `stop` sends SIGSTOP (the
 * zombie: someone else continues it), `throw` throws an Error. Before acting it writes one line to stderr,
 * `fault point <name>: <action>`, which is what a test waits for.
 */
export const FAULT_POINTS = [
  'ingest.before-decode',
  'ingest.after-decode',
  'ingest.after-begin',
  'ingest.after-lock',
  'ingest.after-read',
  'ingest.after-write',
  'ingest.commit-sent',
  'ingest.commit-acknowledged',
  'ingest.offset-committed',
  'ingest.before-park',
  'ingest.after-park',
  'saga.after-begin',
  'saga.after-read',
  'saga.after-write',
  'saga.commit-acknowledged',
  'saga.offset-committed',
  'relay.before-send',
  'relay.after-send',
  'relay.after-delete',
  'dispatcher.after-claim',
  'dispatcher.before-send',
  'dispatcher.after-send',
  'dispatcher.after-response',
  'dispatcher.after-store',
  'dispatcher.result-stored',
  'orders.after-claim',
  'orders.after-write',
  'orders.after-commit',
  'sync.before-send',
  'sync.after-response',
  'sync.job-stored',
  'sync.after-poll',
  'bulk.after-claim',
  'bulk.chunk-kept',
  'bulk.export-ended',
  'bulk.chunks-sent',
  'bulk.after-write',
  'bulk.commit-acknowledged',
  'bulk.offset-committed',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];
export type FaultAction = 'kill' | 'stop' | 'throw';
export interface Fault {
  point: FaultPoint;
  action: FaultAction;
  passage: number;
}

let armed: Fault | undefined;
let passages = 0;

export function armFault(fault: Fault | undefined): void {
  armed = fault;
  passages = 0;
}

/** For a point whose very observation costs something: whether it is armed. */
export function isArmed(point: FaultPoint): boolean {
  return armed?.point === point;
}

export function faultPoint(point: FaultPoint): void {
  if (armed === undefined || armed.point !== point) return;
  passages += 1;
  if (passages !== armed.passage) return;
  process.stderr.write(`fault point ${point}: ${armed.action}\n`);
  switch (armed.action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      break;
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'throw':
      throw new Error(`fault point ${point}`);
  }
}
