// oxlint-disable-next-line typescript/unbound-method -- it is called with its text as this
const { charCodeAt } = String.prototype;

/**
 * `text.charCodeAt(index)`, for loops that ingest goes through for every event. Written as a method it is looked up by what kind of string V8 has before it; a process
 * that has met more than four kinds (flat, joined, sliced, internalised...) looks it up the slow way at every character, for good: 11 % of ingest's samples
 * were in that look-up, 3 % are with this (perf, November 2026). Here nothing is left to look up.
 */
export const charCode = (text: string, index: number): number => charCodeAt.call(text, index);
