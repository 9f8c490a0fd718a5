import type { WriteBackOutcome } from '../../engine/ports.js';

export const skipped = (message: string): WriteBackOutcome => ({ state: 'Skipped', message });

export const short = (commit: string): string => commit.slice(0, 12) || 'unknown';
