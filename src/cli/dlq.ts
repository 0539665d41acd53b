import { type Command, Option } from 'commander';
import { BrxError } from '../errors.ts';
import type { DeadLetter, DeadLetterReason, Inspected, LetterState } from '../records/index.ts';
import { integerOption, listOption, rowIdArguments } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { registerDlqRepair } from './dlq-repair.ts';
import { filtered, filterOf, hexDump, letterJson, placeOf, REASONS, type FilterOptions } from './letters.ts';
import { formatCount, printable } from './output.ts';

export { REASONS } from './letters.ts';

const STATES = ['open', 'redriven', 'discarded'] as const satisfies readonly LetterState[];

/** `brx-sync dlq list | show | redrive | discard`. */
export function registerDlq(program: Command, context: CliContext): void {
  const dlq = program
    .command('dlq')
    .description('dead letters: records that could not take effect, and what to do about them')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync dlq list', 'the newest 20'],
        ['brx-sync dlq list --cause undecodable --since 2h', 'of one kind, of the last two hours'],
        ['brx-sync dlq show 4711', 'one in full: what it says, its bytes, headers, error and schema'],
        ['brx-sync dlq redrive --cause unknown_type --reason "upgraded" --dry-run', 'what would come of sending them again'],
        ['brx-sync dlq redrive --cause unknown_type --reason "upgraded" --rate 200 --yes', 'send them again, and see what becomes of each'],
        ['brx-sync dlq redrive 4711 --set quantity=3 --reason "the shop said so" --yes', 'send one corrected'],
        ['brx-sync dlq discard 4711 --reason "test data" --yes', 'give one up'],
      ])}\n\nA record that is sent again keeps its id, so that nothing is applied twice.`,
    );
  filtered(dlq.command('list').description('list dead letters, newest first'))
    .addOption(new Option('--reason <reason>', 'the same as --cause with one').choices(REASONS))
    .option('--state <states>', `only in these states, separated by commas: ${STATES.join(', ')}`, listOption(STATES))
    .option('--limit <number>', 'at most so many', integerOption(1, 10_000), 20)
    .option('--before <id>', 'go on behind this one: the last id of the page before', (text: string) => rowIdArguments(text)[0])
    .action((options: ListOptions) => list(context, options));
  dlq
    .command('show')
    .description('one dead letter: what it says if it can be read, its bytes if not, headers, error, schema, what was done')
    .argument('<id>', 'id, as `dlq list` shows it', (text: string) => rowIdArguments(text)[0])
    .option('--value', 'only its value as JSON, to be corrected and given back with `dlq redrive ID --edit FILE`')
    .action((id: bigint, options: { value?: true }) => show(context, id, options.value === true));
  registerDlqRepair(dlq, context);
}

interface ListOptions extends FilterOptions {
  reason?: DeadLetterReason;
  state?: LetterState[];
  limit: number;
  before?: bigint;
}

async function list(context: CliContext, { reason, state, limit, before, ...rest }: ListOptions): Promise<void> {
  const { out } = context;
  if (reason !== undefined && rest.cause !== undefined) throw new BrxError('BRX_USAGE', '--reason is --cause with one: list takes one of them', { remedy: 'brx-sync dlq list --cause invalid,too_old' });
  const { DEAD_LETTER_REASONS, selectDeadLetters } = await import('../records/index.ts');
  const filter = { ...filterOf({ ...rest, ...(reason !== undefined && { cause: [reason] }) }), ...(state !== undefined && { states: state }) };
  const letters = await withPostgres(context, ({ prisma }) => selectDeadLetters(prisma, filter, { order: 'newest', limit, ...(before !== undefined && { after: before }) }));
  out.json(letters.map(letterJson));
  if (letters.length === 0) return out.line(Object.keys(filter).length === 0 ? 'there are no dead letters' : 'there are no such dead letters');
  out.table(
    letters.map((letter) => ({
      id: letter.id,
      when: letter.createdAt,
      reason: letter.reason,
      state: letter.state,
      record: placeOf(letter),
      user: letter.userId,
      detail: printable(letter.detail.split('\n')[0]?.slice(0, 120) ?? ''),
    })),
  );
  for (const one of new Set(letters.map((letter) => letter.reason))) out.note(`${one}: ${DEAD_LETTER_REASONS[one]}`);
  const last = letters.at(-1)?.id;
  if (letters.length === limit && last !== undefined) out.note(`only ${formatCount(limit)}; older ones: --before ${last}`);
}

async function show(context: CliContext, id: bigint, valueOnly: boolean): Promise<void> {
  const { out } = context;
  const [{ DEAD_LETTER_REASONS, inspect, letterTarget, selectDeadLetters }, { createCodec, createRegistry }, { selectActions }] = [
    await import('../records/index.ts'),
    await import('../platform/kafka/index.ts'),
    await import('../platform/postgres/index.ts'),
  ];
  const { letter, again, actions } = await withPostgres(context, async ({ prisma }) => ({
    letter: (await selectDeadLetters(prisma, { ids: [id] }, { order: 'newest', limit: 1 }))[0],
    again: await selectDeadLetters(prisma, { redriveOf: id }, { order: 'newest', limit: 1 }),
    actions: await selectActions(prisma, letterTarget(id)),
  }));
  if (letter === undefined) throw new BrxError('BRX_REFUSED', `there is no dead letter ${id}`, { remedy: '`brx-sync dlq list` shows which there are; old ones are forgotten a day after the deduplication horizon' });

  const codec = createCodec(createRegistry(context.config().registry));
  const read = (value: Buffer | null): Promise<Inspected> =>
    inspect(codec, { value }).catch((error: unknown) => {
      if (error instanceof BrxError && error.code === 'BRX_REGISTRY_UNAVAILABLE') return { schemaId: null, record: null, value: null, problem: error.message };
      throw error;
    });
  const [original, edited] = [await read(letter.source.value), letter.edited === null ? null : await read(letter.edited.value)];
  if (valueOnly) {
    if (original.value === null) throw new BrxError('BRX_REFUSED', `dead letter ${id} cannot be read: ${original.problem ?? ''}`, { remedy: 'write the whole record by hand: `brx-sync dlq redrive ID --edit FILE --record NAME`' });
    out.json(original.value);
    return out.line(JSON.stringify(original.value, null, 2));
  }
  out.json({ ...letterJson(letter), decoded: original, editedDecoded: edited, redrivenTo: again[0]?.id ?? null, actions });

  out.line(out.paint('bold', `dead letter ${letter.id}: ${letter.reason}`));
  out.line(printable(letter.detail));
  out.line(out.paint('dim', DEAD_LETTER_REASONS[letter.reason]));
  out.line();
  const { source } = letter;
  out.line(`record    ${placeOf(letter)}, stamped ${new Date(source.timestamp).toISOString()}, read by ${letter.consumerGroup}, buried ${letter.createdAt.toISOString()}`);
  out.line(`key       ${source.key === null ? '(none)' : printable(source.key.toString())}`);
  out.line(`event     ${letter.eventId ?? 'unknown'} of user ${letter.userId ?? 'unknown'}`);
  out.line(`schema    ${original.schemaId === null ? 'none' : `${original.schemaId}, ${original.record ?? 'not in the registry'}`}`);
  if (letter.redriveOf !== null) out.line(`redrive   of dead letter ${letter.redriveOf}`);
  out.line(`state     ${standing(letter)}${again[0] === undefined ? '' : `; it became dead letter ${again[0].id}`}`);
  for (const [name, value] of Object.entries(source.headers)) out.line(`header    ${printable(name)}: ${printable(String(value)).slice(0, 200)}`);
  out.line();
  out.line(out.paint('bold', original.value === null ? `what it holds (${original.problem ?? ''})` : 'what it says'));
  for (const line of original.value === null ? hexDump(source.value ?? Buffer.alloc(0), 512) : JSON.stringify(original.value, null, 2).split('\n')) out.line(`  ${printable(line)}`);
  if (edited !== null) {
    out.line(out.paint('bold', 'what was sent instead'));
    for (const line of JSON.stringify(edited.value, null, 2).split('\n')) out.line(`  ${printable(line)}`);
  }
  for (const [index, { at, who, action, reason }] of actions.entries()) out.line(`${index === 0 ? '\nwhat was done\n' : ''}  ${at.toISOString()}  ${action} by ${who}: ${printable(reason)}`);
}

function standing({ state, stateAt, stateBy, stateReason, sentEventId, eventId }: DeadLetter): string {
  if (state === 'open') return 'open';
  const under = state === 'redriven' && sentEventId !== null && sentEventId !== eventId ? ` under event id ${sentEventId}` : '';
  return `${state}${under} ${stateAt?.toISOString() ?? ''}${stateBy === null ? '' : ` by ${stateBy}`}: ${printable(stateReason ?? '')}`;
}
