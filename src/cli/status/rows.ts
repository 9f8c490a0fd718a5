import { shortCommit, shorten, relative, type Cell, type Colour } from '../format.js';
import type { CanaryView } from './view.js';

const PHASE_COLOURS: Record<string, Colour> = {
  Initialized: 'green',
  Succeeded: 'green',
  Failed: 'red',
  Waiting: 'yellow',
  WaitingPromotion: 'yellow',
  Progressing: 'cyan',
  Promoting: 'cyan',
  Finalising: 'cyan',
};

/** Widest message in the table; the whole is on the page of the Canary. */
const MESSAGE_WIDTH = 60;

export const phaseCell = ({ phase, stalled }: Pick<CanaryView, 'phase' | 'stalled'>): Cell => ({
  text: stalled ? `${phase}!` : phase,
  colour: stalled ? 'red' : PHASE_COLOURS[phase],
});

const dash = (text: string | undefined): string => (text ? text : '-');

export function header(allNamespaces: boolean): string[] {
  return [
    ...(allNamespaces ? ['NAMESPACE'] : []),
    'NAME',
    'STATUS',
    'WEIGHT',
    'STEP',
    'STABLE',
    'CANARY',
    'COMMIT',
    'NEXT',
    'MESSAGE',
  ];
}

/** One line of the table. A `!` behind the status says that something waits for a person; the message is then about that. */
export function row(view: CanaryView, allNamespaces: boolean, now: number): (string | Cell)[] {
  const message = view.stalled?.message ?? view.progress?.message ?? '';
  return [
    ...(allNamespaces ? [view.namespace] : []),
    view.name,
    phaseCell(view),
    String(view.weight),
    view.step ? `${view.step.number}/${view.step.of}` : '-',
    dash(view.stable?.revision),
    dash(view.canary?.revision),
    dash(shortCommit(view.canary?.commit ?? view.stable?.commit)),
    view.nextStepTime === undefined ? '-' : relative(view.nextStepTime, now),
    shorten(message, MESSAGE_WIDTH),
  ];
}
