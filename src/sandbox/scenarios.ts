import { DEMO_METRICS, DEMO_SCRIPT, type Script } from './script.js';

/** What `sluice demo --scenario NAME` plays. */
export const SCENARIOS: Record<string, { about: string; script: Script }> = {
  default: { about: 'a good version is promoted, then a bad one is taken back', script: DEMO_SCRIPT },
  'git-revert': {
    about: 'a bad version is taken back, and Git gets a commit that undoes it',
    script: {
      rps: 40,
      analysis: { stepWeights: [20, 50], metrics: DEMO_METRICS },
      canary: { onRollback: { git: 'revert' } },
      gitHost: true,
      commits: [{ message: 'reviews v3: red stars', errorRate: 0.25, version: 3, next: 'Failed' }],
    },
  },
  'git-pull-request': {
    about: 'a bad version is taken back, and a pull request with the evidence offers to undo it',
    script: {
      rps: 40,
      analysis: { stepWeights: [20, 50], metrics: DEMO_METRICS },
      canary: { onRollback: { git: 'pullRequest' } },
      gitHost: true,
      commits: [{ message: 'reviews v3: red stars', errorRate: 0.25, version: 3, next: 'Failed' }],
    },
  },
};
