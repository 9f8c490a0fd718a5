/** What a part of an address says, percent-encoding undone (RFC 3986, 2.1); undefined when a "%" is not followed by what belongs there. */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
