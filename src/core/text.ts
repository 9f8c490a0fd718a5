/** At most `max` UTF-16 units of a text, and never half of a character: the API server would store another text than was sent. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  const cut = text.slice(0, max);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}

/** A whole number as people read it: `1,234,567`. */
export const grouped = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ',');

/** As {@link clip}, and one sees that something is missing. */
export const shortened = (text: string, max: number): string => (text.length > max ? `${clip(text, max - 1)}…` : text);
