import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import type { Finding, Verdict } from '../operations/doctor/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { printable, type Style } from './output.ts';

const TOKENS = 10;

interface Options {
  readonly tokens: number;
  readonly strict?: boolean;
}

/** `brx-sync doctor`. */
export function registerDoctor(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('look at everything BRX Sync depends on, and say what to do about what is wrong')
    .option('--tokens <count>', 'try so many sellers’ tokens at CardTrader, one request each', integerOption(0, 10_000), TOKENS)
    .option('--strict', 'warnings count as failures')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync doctor', 'before the first start, and when something is odd'],
        ['brx-sync doctor --strict --tokens 0', 'in a deployment: exit code 1 if anything is not as it should be'],
        ["brx-sync doctor --json | jq '.findings[] | select(.verdict == \"failure\")'", 'for a script'],
      ])}\n\nIt changes nothing. Exit code 1 if there is a failure: work would stop, or data could be lost.`,
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, { tokens, strict = false }: Options): Promise<void> {
  const { out } = context;
  const { diagnose } = await import('../operations/doctor/index.ts');
  const diagnosis = await diagnose({ readConfig: () => context.config(), nodeVersion: process.versions.node, clock: systemClock, logger: context.logger, tokens, onProgress: (doing) => out.progress(doing) });
  out.json(diagnosis);
  let area: string | undefined;
  for (const finding of diagnosis.findings) {
    if (finding.area !== area) out.line(out.paint('bold', finding.area));
    area = finding.area;
    show(context, finding);
  }
  const { failure, warning, ok, skipped } = diagnosis.counts;
  out.line();
  out.line(`${failure} failure${failure === 1 ? '' : 's'}, ${warning} warning${warning === 1 ? '' : 's'}, ${ok} as they should be${skipped > 0 ? `, ${skipped} not looked at` : ''}`);
  const bad = failure + (strict ? warning : 0);
  if (bad > 0) throw new BrxError('BRX_DIFFERENT', `${bad === 1 ? '1 thing is not as it' : `${bad} things are not as they`} should be`, { remedy: 'each finding says what to do' });
}

const MARKS: Record<Verdict, readonly [mark: string, style: Style]> = { ok: ['ok  ', 'green'], warning: ['warn', 'yellow'], failure: ['FAIL', 'red'], skipped: ['-   ', 'dim'] };

function show({ out }: CliContext, { verdict, check, found, remedy }: Finding): void {
  const [mark, style] = MARKS[verdict];
  const [first = '', ...rest] = found.split('\n');
  out.line(`  ${out.paint(style, mark)}  ${check}: ${printable(first)}`);
  for (const text of rest) out.line(`        ${printable(text)}`);
  if (remedy !== null) out.line(`        → ${printable(remedy)}`);
}
