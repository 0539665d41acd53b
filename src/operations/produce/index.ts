/** NDJSON against the contract, and onto the topic. */
export { badLines, checkLines, MOST_SHOWN, publishLines, type BadLine, type Checked, type Published } from './produce.ts';
export { fileSource, streamSource, type Source } from './source.ts';
