const KEPT_LINES = 200;

/** The last lines that a container wrote. */
export class LogBuffer {
  private readonly kept: string[] = [];

  add(line: string): void {
    this.kept.push(line);
    if (this.kept.length > KEPT_LINES) this.kept.shift();
  }

  lines(): string[] {
    return [...this.kept];
  }
}
