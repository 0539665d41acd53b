/** Words of bulk sync: what a job may do, how it stands, what it finds. Pure. */

export const MODES = {
  report: 'compares and changes nothing',
  'adopt-remote': 'what CardTrader has becomes the stock here; how a seller is first imported',
  'push-local': 'what is here goes to CardTrader, by listing sync',
} as const;
export type Mode = keyof typeof MODES;
export const MODE_NAMES = Object.keys(MODES) as Mode[];

export const JOB_STATES = ['REQUESTED', 'EXPORTING', 'APPLYING', 'DONE', 'FAILED', 'CANCELLED'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Why a job has failed. */
export const PROBLEMS = {
  export_unusable: 'CardTrader gave no whole export in several tries',
  refused: 'CardTrader refuses the export',
  token_rejected: 'CardTrader rejects the seller’s token',
  token_unreadable: 'the seller’s token does not open with the keys at hand',
  shrunk: 'the export has a tenth fewer products than there were, or less: it may be stale or cut',
  too_large: 'the export has more products than one job takes',
} as const;
export type Problem = keyof typeof PROBLEMS;

export const REMEDIES: Readonly<Record<Problem, string>> = {
  export_unusable: 'try again; BRX_MARKETPLACE_EXPORT_TIMEOUT_MS is how long an export may take',
  refused: '`brx-sync users check` tells whether the token works',
  token_rejected: '`brx-sync users add` takes a new token on',
  token_unreadable: 'start a dispatcher whose BRX_SECRET_KEYS have the key that sealed it',
  shrunk: 'compare with CardTrader’s site; if it shows the same, say --confirm-shrink; three exports in a row that agree are believed as well',
  too_large: 'nothing can be done without a change of the program',
};

/** What a chunk that is on its way may wait for. */
export const WAITS = {
  catalogue: 'the catalogue (MySQL)',
} as const;
export type WaitsFor = keyof typeof WAITS;

/** What became of a product of the export. */
export const KINDS = ['created', 'adopted', 'linked', 'pushed', 'drifted', 'left', 'same'] as const;
export type Kind = (typeof KINDS)[number];

/** Why: the cause of a drift, of leaving an item alone, of a blueprint without a print. */
export const CAUSES = {
  new: 'CardTrader has it and it was not known here',
  quantity: 'the number of copies was taken over',
  price: 'the number of copies is the same, the price is another one',
  fewer_there: 'CardTrader has fewer copies than can be sold here',
  more_there: 'CardTrader has more copies than can be sold here',
  not_linked: 'the product names the item, and nothing ties them yet',
  not_here: 'no item here is known for the product',
  gone: 'it was listed, and is not in the export',
  not_there: 'copies are here, and it is not listed',
  changed_since: 'it has changed here, or was sold there, since shortly before the export was taken: the export may be behind',
  busy: 'an operation of it on CardTrader is under way',
  held: 'a sale of it is under way',
  ambiguous: 'several products are, or claim to be, this item',
  orders_not_read: 'the seller’s orders were not read since the export: a copy may have been sold there',
  removed_here: 'its upstream has taken it off',
  unknown_blueprint: 'the catalogue does not have the card',
  ambiguous_blueprint: 'the catalogue has the card more than once',
  no_catalogue: 'no catalogue is configured (BRX_MYSQL_URL)',
  unread: 'the entry of the export could not be read',
} as const;
export type Cause = keyof typeof CAUSES;

/** A line of a job's report. */
export interface Finding {
  readonly kind: Kind | 'unmapped' | 'unread';
  readonly cause: Cause;
  readonly productId: number | null;
  readonly itemId: string | null;
  readonly ours: number | null;
  readonly theirs: number | null;
  readonly name: string | null;
}

/** How many products came to what; a product whose blueprint has no print is counted as unmapped beside that. */
export type Counts = Readonly<Record<Kind | 'unmapped', number>>;
