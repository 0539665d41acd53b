/**
 * `user_data_field` is the one text CardTrader keeps for us with a product, and the seller's own text is in it already. The last thing
 * in it is the marker of the operation that wrote it, ` brx:<operation id>`: a read then tells whether that write took effect. Pure.
 */
export interface UserDataField {
  /** All but the marker, as it was. */
  readonly ownText: string;
  /** The first uuid in the own text: the join key to our item. Lower case. */
  readonly itemId: string | null;
  /** Of the last marker. Lower case. */
  readonly operationId: string | null;
}

/** CardTrader's own limit is not known (cardtrader.md section 12); 255 is the most a usual column takes. */
export const USER_DATA_FIELD_LENGTH = 255;

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
/** Anywhere, not only at the end: a seller may have written behind it. */
const MARKER = new RegExp(`(?:^|\\s)brx:(${UUID})(?=\\s|$)`, 'gi');
const LONE_UUID = new RegExp(`(?<![0-9a-f-])${UUID}(?![0-9a-f-])`, 'i');

export function readUserDataField(text: string | null | undefined): UserDataField {
  const given = text ?? '';
  const ownText = given.replaceAll(MARKER, '');
  const operationId = [...given.matchAll(MARKER)].at(-1)?.[1]?.toLowerCase() ?? null;
  return { ownText, itemId: LONE_UUID.exec(ownText)?.[0].toLowerCase() ?? null, operationId };
}

/**
 * The field with this operation's marker in place of any other. null when it would grow longer than `maxLength`: the seller's text
 * is never cut, and then the operation can only be told by its quantity.
 */
export function markUserDataField(text: string | null | undefined, operationId: string, maxLength = USER_DATA_FIELD_LENGTH): string | null {
  const { ownText } = readUserDataField(text);
  const marked = `${ownText}${ownText === '' ? '' : ' '}brx:${operationId}`;
  return marked.length > maxLength ? null : marked;
}
