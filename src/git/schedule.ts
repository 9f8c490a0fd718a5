import { createTask, validateDetailed, type ScheduledTask } from 'node-cron';
import { SyncError } from './reasons.js';

/** Time as the reconciler sees it, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `action` once after `ms` milliseconds; the result cancels it. */
  after(ms: number, action: () => void): () => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, Math.min(ms, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Sources of one interval must not ask their servers all at the same moment: each wait is this much longer or shorter, at most. */
const JITTER = 0.05;
export const jittered = (ms: number, random: number): number => ms * (1 + JITTER * (2 * random - 1));

/** No wait between attempts is longer than this, unless the interval is. */
const LONGEST_WAIT_MS = 5 * 60_000;

/** How long to wait after so many failures in a row: twice as long each time, up to ten intervals. */
export const backedOff = (intervalMs: number, failures: number): number =>
  Math.max(intervalMs, Math.min(intervalMs * 2 ** Math.min(failures, 10), intervalMs * 10, LONGEST_WAIT_MS));

/**
 * Starts a cron schedule; the result stops it.
 * @throws SyncError InvalidSchedule when the expression has not five fields that can come to pass, or there is no such time zone.
 */
export function startSchedule(expression: string, timeZone: string, action: () => void): () => void {
  if (expression.trim().split(/\s+/).length !== 5)
    throw invalid(expression, 'has not five fields (minute, hour, day of month, month, day of week)');
  const checked = validateDetailed(expression);
  if (!checked.valid)
    throw invalid(expression, checked.errors.map(({ field, message }) => `${field}: ${message}`).join('; ') || 'cannot be read');
  checkTimeZone(timeZone);
  const task = createTask(expression, action, { timezone: timeZone, unref: true, suppressMissedWarning: true });
  begin(task, expression);
  return () => void task.destroy();
}

function begin(task: ScheduledTask, expression: string): void {
  try {
    void task.start();
    if (task.getNextRun() !== null) return;
  } catch {
    // Told below: a day such as the 30th of February is found out only now.
  }
  void task.destroy();
  throw invalid(expression, 'names a time that never comes');
}

function checkTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw new SyncError(
      'InvalidSchedule',
      `spec.timeZone ${JSON.stringify(timeZone)} is no time zone; write an IANA name such as Europe/Berlin`,
    );
  }
}

const invalid = (expression: string, what: string): SyncError =>
  new SyncError('InvalidSchedule', `spec.schedule ${JSON.stringify(expression)} ${what}; write one such as "*/15 8-18 * * 1-5"`);
