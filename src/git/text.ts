/** Enough of a commit's id to find it by, for people. */
export const short = (commit: string): string => commit.slice(0, 12) || 'unknown';

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]+/g;
/** A text of one line, without control characters. */
export const oneLine = (text: string): string => text.replace(CONTROL, ' ').trim();
