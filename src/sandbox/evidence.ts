import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The files that a run leaves behind, one JSON object a line. */
export const EVIDENCE = { audit: 'audit.jsonl', requests: 'requests.jsonl', messages: 'messages.jsonl', controller: 'controller.log' } as const;
export type EvidenceName = keyof typeof EVIDENCE;

/** Appends to the evidence files of one folder. */
export class Evidence {
  private constructor(
    readonly dir: string,
    private readonly streams: Record<EvidenceName, WriteStream>,
  ) {}

  static async open(dir: string): Promise<Evidence> {
    await mkdir(dir, { recursive: true });
    const open = (name: EvidenceName) => createWriteStream(join(dir, EVIDENCE[name]), { flags: 'a' });
    return new Evidence(dir, { audit: open('audit'), requests: open('requests'), messages: open('messages'), controller: open('controller') });
  }

  write(name: EvidenceName, entry: unknown): void {
    this.streams[name].write(`${JSON.stringify(entry)}\n`);
  }

  /** For writers of lines of their own, such as a logger. */
  stream(name: EvidenceName): WriteStream {
    return this.streams[name];
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.streams).map((stream) => new Promise<void>((resolve) => stream.end(() => resolve()))));
  }
}
