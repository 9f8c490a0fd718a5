import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Instruction {
  word: string;
  rest: string;
}
interface Stage {
  base: string;
  name: string | undefined;
  instructions: Instruction[];
}

/** Instructions by stage; continued lines are joined, comments are dropped. */
function stages(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.trim().startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const found: Stage[] = [];
  for (const line of lines) {
    const [word = '', ...others] = line.trim().split(/\s+/);
    if (word === 'FROM') found.push({ base: others[0] ?? '', name: others[1] === 'AS' ? others[2] : undefined, instructions: [] });
    else found.at(-1)?.instructions.push({ word, rest: others.join(' ') });
  }
  return found;
}

/** Sources and destination of a COPY, and the stage it copies from. */
function copies(stage: Stage): { from: string | undefined; sources: string[]; to: string }[] {
  return stage.instructions
    .filter(({ word }) => word === 'COPY')
    .map(({ rest }) => {
      const words = rest.split(' ').filter((word) => !word.startsWith('--'));
      return { from: /--from=(\S+)/.exec(rest)?.[1], sources: words.slice(0, -1), to: words.at(-1) ?? '' };
    });
}

const all = stages(read('Dockerfile'));
const last = all.at(-1);
if (!last) throw new Error('the Dockerfile has no stage');
const value = (word: string): string | undefined => last.instructions.findLast((item) => item.word === word)?.rest;

describe('Dockerfile', () => {
  it('copies only what is in the checkout and passes .dockerignore', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = all.flatMap(copies).flatMap(({ from, sources: names }) => (from === undefined ? names : []));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(path.join(root, source)), `${source} exists`).toBe(true);
      expect(allowed.includes(source.split('/')[0] ?? ''), `${source} passes .dockerignore`).toBe(true);
    }
  });

  it('copies from stages that exist', () => {
    const names = new Set(all.map(({ name }) => name));
    for (const { from } of all.flatMap(copies)) if (from !== undefined) expect(names).toContain(from);
  });

  it.each(['dist', 'node_modules', 'package.json', 'crds', 'examples/bookinfo', 'LICENSE'])('puts %s into the image', (wanted) => {
    const copied = copies(last).flatMap(({ sources }) => sources.map((source) => source.replace(/^\/app\//, '')));
    expect(copied).toContain(wanted);
  });

  it('names images without a registry, and pins the major version of Node', () => {
    for (const { base } of all) expect(base).toMatch(/^node:26-(slim|alpine)$/);
  });

  it('installs exactly the locked packages, runs none of their scripts, and leaves those for development out', () => {
    const installs = all.flatMap(({ name, instructions }) => instructions.filter(({ rest }) => rest.includes('npm ci')).map(({ rest }) => ({ name, rest })));
    for (const { rest } of installs) expect(rest).toContain('--ignore-scripts');
    const from = copies(last).find(({ sources }) => sources.some((source) => source.endsWith('node_modules')))?.from;
    expect(installs.find(({ name }) => name === from)?.rest).toContain('--omit=dev');
  });

  it('runs as the user that the chart names, who is not root', () => {
    expect(value('USER')).toBe('65532:65532');
    expect(read('charts/sluice/templates/_helpers.tpl')).toContain('runAsUser: 65532');
  });

  it('holds git and ssh', () => {
    const installed = last.instructions.filter(({ word }) => word === 'RUN').map(({ rest }) => rest);
    expect(installed.join(' ')).toMatch(/apk add [^&]*\bgit\b/);
    expect(installed.join(' ')).toMatch(/apk add [^&]*\bopenssh-client/);
    // Kustomizations are built, and signatures of commits checked, by the real programs.
    for (const program of ['kustomize', 'gnupg']) expect(installed.join(' ')).toMatch(new RegExp(`apk add [^&]*\\b${program}\\b`));
  });

  it('starts the controller by the program that package.json names', () => {
    const { bin } = JSON.parse(read('package.json')) as { bin: { sluice: string } };
    expect(JSON.parse(value('ENTRYPOINT') ?? '')).toEqual(['node', `/app/${bin.sluice}`]);
    expect(JSON.parse(value('CMD') ?? '')).toEqual(['controller']);
  });

  it('keeps its home in the one folder that may be written', () => {
    expect(value('ENV')).toContain('HOME=/tmp');
  });
});
