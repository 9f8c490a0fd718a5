import type { Scenario } from '../types.js';
import { applies } from './apply.js';
import { crud } from './crud.js';
import { custom } from './custom.js';
import { lifecycle } from './lifecycle.js';
import { lists } from './lists.js';
import { patches } from './patches.js';
import { istio, sluice } from './projects.js';
import { server } from './server.js';
import { watches } from './watches.js';
import { workloads } from './workloads.js';

/** Every request, by subject. */
export const subjects: Record<string, Scenario[]> = {
  crud,
  patches,
  applies,
  custom,
  watches,
  lists,
  lifecycle,
  workloads,
  server,
  sluice,
  istio,
};
