import type { DemoOptions } from './options.ts';
import { bar, count, megabytes, type View } from './view.ts';
import type { Snapshot } from './watch.ts';
import type { Worker } from './worker.ts';

/** The live picture: one block on a terminal, else one line. */
export function showProgress(view: View, { events }: DemoOptions, workers: readonly Worker[], snapshot: Snapshot, seconds: number): void {
  const { published, applied, lag, rate, group, connections, openSales, unpublished } = snapshot;
  const lines = [
    '',
    `  published  ${view.paint('cyan', bar(published, events))}  ${count(published)} of ${count(events)}`,
    `  applied    ${view.paint('green', bar(applied, events))}  ${count(applied)}   ${view.paint('bold', `${count(rate)}/s`)}   lag ${count(lag)}   ${view.paint('dim', `${seconds.toFixed(0)} s`)}`,
    `  sales      ${count(openSales)} under way   ${view.paint('dim', `outbox ${count(unpublished)}`)}`,
    ...workers.map((worker) => {
      const owned = group.owned.get(worker.clientId) ?? [];
      const facts = [`${owned.length} partitions`.padStart(13), `${count(worker.events)} events`.padStart(16), megabytes(worker.memory).padStart(7), `${connections.get(worker.clientId) ?? 0} connections`];
      return `  worker ${worker.name}   ${stateOf(view, worker)} ${facts.join('  ')}`;
    }),
  ];
  const each = workers.map((worker) => `${worker.name} ${labelOf(worker)} ${count(worker.events)}, ${group.owned.get(worker.clientId)?.length ?? 0} partitions, ${megabytes(worker.memory)}`);
  view.block(lines, `  ${seconds.toFixed(0).padStart(3)} s  published ${count(published)}  applied ${count(applied)} (${count(rate)}/s)  lag ${count(lag)}  sales under way ${count(openSales)}  | ${each.join(' | ')}`);
}

const labelOf = ({ state, starts }: Worker): string => (state === 'running' && starts > 1 ? 'running again' : state);

function stateOf(view: View, worker: Worker): string {
  const style = worker.state === 'running' ? 'green' : worker.state === 'killed' || worker.state === 'died' ? 'red' : 'yellow';
  return view.paint(style, labelOf(worker).padEnd(13));
}
