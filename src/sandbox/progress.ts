import type { Canary, CanaryStatus } from '../api/index.js';
import type { Io } from '../cli/io.js';
import { CANARY, NAMESPACE, type Sandbox } from './sandbox.js';
import type { Summary } from './play.js';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof CODES;
const BAR = 20;
const EVERY_MS = 1_000;

/** Tells in the terminal what happens to a release while it happens. */
export class Progress {
  readonly #startedAt: number;
  #last = '';
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(private readonly io: Io) {
    this.#startedAt = io.now();
  }

  say(text: string, style?: Style): void {
    const seconds = ((this.io.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    this.io.out(`${this.#paint(`${seconds} s`, 'dim')}  ${style ? this.#paint(text, style) : text}\n`);
  }

  follow(sandbox: Sandbox): void {
    this.#unsubscribe = sandbox.canaries.onChange((name, canary) => {
      if (name.name === CANARY && canary) this.#changed(canary);
    });
    this.#timer = setInterval(() => this.#traffic(sandbox), EVERY_MS);
  }

  stop(): void {
    this.#unsubscribe?.();
    clearInterval(this.#timer);
  }

  summary(summary: Summary): void {
    this.io.out(`\n${this.#paint('Summary', 'bold')}\n`);
    for (const release of summary.releases) {
      const style = release.result === 'Succeeded' ? 'green' : release.result === 'Failed' ? 'red' : 'yellow';
      this.io.out(`  ${this.#paint(release.result.padEnd(10), style)} commit ${release.commit.slice(0, 7)}  revision ${release.revision}  ${release.seconds} s  weights ${release.weights.join(' → ')}\n`);
      this.io.out(`             ${release.reason}\n`);
    }
    const { head, subject, trailers } = summary.git;
    if (head) this.io.out(`  Git: the branch ends with ${head.slice(0, 7)} "${subject ?? ''}"${trailers?.['Sluice-Revision'] ? `, which takes revision ${trailers['Sluice-Revision']} back` : ''}\n`);
    for (const { url, title } of summary.git.pullRequests ?? []) this.io.out(`  Git: pull request ${url} "${title}"\n`);
    this.#seen(summary.seen);
    const { total, failed, failedOnStable } = summary.requests;
    this.io.out(`  ${total} requests, ${failed} failed, of these ${failedOnStable} on the stable version\n`);
  }

  /** Who got what, where there is more than one group of callers. */
  #seen(seen: Summary['seen']): void {
    if (new Set(seen.map(({ group }) => group)).size < 2) return;
    this.io.out(`  What callers saw\n`);
    for (const { release, stage, group, versions, failed, medianMs, returned } of seen) {
      const shares = Object.entries(versions).sort(([a], [b]) => a.localeCompare(b)).map(([version, count]) => `${version} ${count}`);
      const notes = [...(failed > 0 ? [`${failed} failed`] : []), ...(returned > 0 ? [`${returned} went back and forth`] : [])];
      this.io.out(`    ${`${release > 0 ? `release ${release}, ` : ''}${stage}`.padEnd(24)} ${group.padEnd(20)} ${[...shares, ...notes, `median ${medianMs} ms`].join(', ')}\n`);
    }
  }

  #changed(canary: Canary): void {
    const { status } = canary;
    if (!status) return;
    const ended = status.history?.[0];
    const text = ended && !status.run && status.phase !== 'Initialized' ? this.#ending(ended) : this.#stage(status);
    if (text === this.#last || text === '') return;
    this.#last = text;
    const style = status.run ? (status.run.ending ? 'yellow' : undefined) : ended?.result === 'Failed' ? 'red' : 'green';
    this.say(text, style);
  }

  #ending(entry: NonNullable<CanaryStatus['history']>[number]): string {
    const verb = { Succeeded: 'promoted', Failed: 'taken back', Superseded: 'superseded', Cancelled: 'cancelled' }[entry.result];
    return `${verb.toUpperCase()}: revision ${entry.revision} (commit ${entry.commit?.slice(0, 7) ?? 'unknown'}). ${entry.message}`;
  }

  #stage(status: CanaryStatus): string {
    if (!status.run) return '';
    const message = status.conditions?.find((item) => item.type === 'Progressing')?.message ?? '';
    return `${status.phase}: ${message.replace(/; the next check is due at .*/, '')}`;
  }

  /** One line a second while a release runs: the weight, and what each version gets and answers. */
  #traffic(sandbox: Sandbox): void {
    const seen = sandbox.tally.take();
    const status = sandbox.canaries.get(NAMESPACE, CANARY)?.status;
    if (!status?.run) return;
    const weight = status.canaryWeight;
    const filled = Math.round((weight * BAR) / 100);
    const bar = this.#paint('█'.repeat(filled), 'cyan') + this.#paint('░'.repeat(BAR - filled), 'dim');
    const side = (label: string, revision: string | undefined): string => {
      const { ok, failed } = seen.get(revision ?? '') ?? { ok: 0, failed: 0 };
      const words = `${label} ${String(ok + failed).padStart(3)} req/s ${String(failed).padStart(2)} failed`;
      return failed > 0 ? this.#paint(words, 'red') : words;
    };
    this.say(`${bar} ${String(weight).padStart(3)} %   ${side('stable', status.stable?.revision)}   ${side('canary', status.canary?.revision)}`);
  }

  #paint(text: string, style: Style): string {
    return this.io.color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
  }
}
