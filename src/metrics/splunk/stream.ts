const KNOWN = new Set(['control-message', 'metadata', 'data', 'error']);

/**
 * The messages of a stream of server-sent events, each with the JSON of its data lines; those of kinds that nobody asks for left out.
 * A text that is one JSON object instead of a stream is given as it is.
 * @throws SyntaxError when data are not JSON
 */
export function streamMessages(body: string): unknown {
  if (/^\s*\{/.test(body)) return JSON.parse(body) as unknown;
  const messages: { event: string; data: unknown }[] = [];
  let event = '';
  let lines: string[] = [];
  for (const line of `${body}\n\n`.split(/\r\n|\r|\n/)) {
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') event = value;
    if (field === 'data') lines.push(value);
    if (line !== '') continue;
    if (lines.length > 0 && KNOWN.has(event)) messages.push({ event, data: JSON.parse(lines.join('\n')) as unknown });
    event = '';
    lines = [];
  }
  if (messages.length === 0 && body.trim() !== '') throw new SyntaxError('no message');
  return messages;
}
