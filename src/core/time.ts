/** RFC 3339 text of unix milliseconds. */
export const iso = (at: number): string => new Date(at).toISOString();
/** Unix milliseconds of RFC 3339 text; undefined stays undefined. */
export function ms(text: string): number;
export function ms(text: string | undefined): number | undefined;
export function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}
