import type { WriteBackOutcome } from '../../engine/ports.js';

export const skipped = (message: string): WriteBackOutcome => ({ state: 'Skipped', message });
