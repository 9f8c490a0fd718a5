/** Paths of members that a JSON text has twice (`spec.size`), in the order of their second appearance. The text must be valid JSON. */
export function duplicateMembers(text: string): string[] {
  return new Scanner(text).scan();
}

class Scanner {
  private position = 0;
  private readonly found: string[] = [];

  constructor(private readonly text: string) {}

  scan(): string[] {
    this.value('');
    return this.found;
  }

  private value(path: string): void {
    this.skip(/[\s]/);
    const char = this.text[this.position];
    if (char === '{') this.object(path);
    else if (char === '[') this.list(path);
    else if (char === '"') this.string();
    else this.skip(/[^\s,\]}]/);
    this.skip(/[\s]/);
  }

  private object(path: string): void {
    const seen = new Set<string>();
    this.position++;
    this.skip(/[\s]/);
    while (this.position < this.text.length && this.text[this.position] !== '}') {
      const key = this.string();
      const at = path === '' ? key : `${path}.${key}`;
      if (seen.has(key)) this.found.push(at);
      seen.add(key);
      this.skip(/[\s:]/);
      this.value(at);
      this.skip(/[\s,]/);
    }
    this.position++;
  }

  private list(path: string): void {
    this.position++;
    this.skip(/[\s]/);
    for (let index = 0; this.position < this.text.length && this.text[this.position] !== ']'; index++) {
      this.value(`${path}[${index}]`);
      this.skip(/[\s,]/);
    }
    this.position++;
  }

  private string(): string {
    const start = this.position++;
    while (this.position < this.text.length && this.text[this.position] !== '"')
      this.position += this.text[this.position] === '\\' ? 2 : 1;
    this.position++;
    return JSON.parse(this.text.slice(start, this.position)) as string;
  }

  private skip(chars: RegExp): void {
    while (this.position < this.text.length && chars.test(this.text[this.position] ?? '')) this.position++;
  }
}
