import { z } from 'zod';
import { conditions, duration, instant, localReference, objectName, withRules } from './common.js';

export const VERBS = ['approve', 'hold', 'resume', 'abort', 'promote', 'retry'] as const;
export type Verb = (typeof VERBS)[number];

/** `CanaryAction.spec`: one thing that a person asks of a Canary, outside its spec, so that Git never fights it. */
export const canaryActionSpec = withRules(
  z.object({
    canary: objectName().describe('The Canary, in the same namespace.'),
    verb: z.enum(VERBS).describe('What is asked: `docs/cli.md` says what each does.'),
    revision: z
      .string()
      .max(64)
      .optional()
      .describe('The revision that is meant; when another one is being released by then, the action is refused.'),
    by: z.string().max(253).optional().describe('Who asks.'),
    reason: z.string().max(512).optional().describe('Why; it is kept in the history.'),
  }),
  [{ rule: 'self == oldSelf', message: 'a CanaryAction cannot be changed; create another one' }],
);
export const canaryActionStatus = z.object({
  result: z.enum(['Applied', 'Refused']).optional(),
  message: z.string().max(1024).optional(),
  at: instant().optional(),
});

const reference = withRules(
  z.object({
    branch: z.string().min(1).max(255).optional().describe('The newest commit of this branch.'),
    tag: z.string().min(1).max(255).optional().describe('The commit that this tag is on.'),
    semver: z.string().min(1).max(255).optional().describe('The newest tag in this range, such as `>=1.2.0 <2.0.0`.'),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
      .optional()
      .describe('This commit alone, by its whole id.'),
  }),
  [
    {
      rule: '[has(self.branch), has(self.tag), has(self.semver), has(self.commit)].filter(x, x).size() <= 1',
      message: 'give one of branch, tag, semver and commit',
    },
  ],
);

const writeBack = z.object({
  secretRef: localReference()
    .optional()
    .describe('Secret of the kind that `spec.secretRef` names, with credentials that may push; default is `spec.secretRef`.'),
  author: z
    .object({ name: z.string().min(1).max(128).describe('Name of the author.'), email: z.string().min(1).max(254).describe('Address of the author.') })
    .optional()
    .describe('Author of the commits; default is `Sluice <sluice@sluice.invalid>`.'),
  host: z
    .object({
      type: z.enum(['github', 'gitlab', 'gitea', 'bitbucket', 'azure']).describe('`gitea` is Forgejo too; `bitbucket` is Bitbucket Cloud; `azure` is Azure DevOps.'),
      api: z
        .string()
        .max(2048)
        .regex(/^https?:\/\//)
        .optional()
        .describe('Base address of its API; default follows from `spec.url`.'),
      repository: z.string().max(512).optional().describe('OWNER/NAME at the host; default follows from `spec.url`.'),
      secretRef: localReference().optional().describe('Secret with `token` (or `username` and `password`); default is the one that pushes.'),
      statuses: z.boolean().default(true).describe('Tell the commit how its release goes.'),
    })
    .optional()
    .describe('The Git host, for commit statuses and pull requests.'),
  link: z
    .string()
    .max(1024)
    .regex(/^https?:\/\//)
    .optional()
    .describe('Where statuses lead to; `{{ namespace }}`, `{{ canary }}`, `{{ revision }}` and `{{ commit }}` are filled in.'),
});

/** `GitSource.spec`. */
export const gitSourceSpec = z.object({
  url: z
    .string()
    .max(2048)
    .regex(/^(https?|ssh|file):\/\/|^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:/)
    .describe('https://, ssh://, git@host:path or file://.'),
  ref: reference.default({ branch: 'main' }).describe('What to follow; default is the branch `main`.'),
  path: z
    .string()
    .max(1024)
    .default('.')
    .describe('Folder in the repository whose manifests are applied; it must not leave the repository.'),
  submodules: z.boolean().default(false).describe('Read the submodules below `path` too; credentials go to the same host only.'),
  sparse: z
    .array(z.string().min(1).max(1024))
    .max(50)
    .optional()
    .describe('Fetch the content of files below `path` and these folders only, where the server can do that; for large repositories.'),
  interval: duration().default('1m').describe('How often the repository is asked for news.'),
  schedule: z.string().max(120).optional().describe('Further times to ask, as a cron expression of five fields.'),
  timeZone: z.string().max(64).default('UTC').describe('IANA name of the time zone of `schedule`.'),
  timeout: duration().default('60s').describe('Longest time for one fetch.'),
  secretRef: localReference()
    .optional()
    .describe('Secret with `username` and `password` or `token`, or `identity` and `known_hosts`; `ca.crt` for a certificate authority of your own.'),
  targetNamespace: objectName().optional().describe('Namespace for manifests that name none; default is that of the GitSource.'),
  apply: z.boolean().default(true).describe('False: only watch the repository; another tool applies it.'),
  prune: z.boolean().default(true).describe('Delete what left the repository.'),
  suspend: z.boolean().default(false).describe('Ask the repository for nothing and apply nothing; what runs stays.'),
  verify: z
    .object({ secretRef: localReference().describe('Secret with public keys, under any names: ssh keys, one a line, or armoured OpenPGP keys.') })
    .optional()
    .describe('Apply only commits that one of these keys signed.'),
  webhook: z
    .object({
      type: z.enum(['github', 'gitlab', 'gitea', 'bitbucket', 'azure', 'generic']).describe('Who calls, and so how the call is signed.'),
      secretRef: localReference().describe('Secret with `token`: what the host signs with, or sends along.'),
    })
    .optional()
    .describe('Let the Git host announce pushes at `/git-hooks/NAMESPACE/NAME` of the controller.'),
  writeBack: writeBack.optional().describe('How verdicts go back to the repository.'),
});
export type GitSourceSpec = z.infer<typeof gitSourceSpec>;

const inventoryEntry = z.object({
  id: z.string().max(600).describe('GROUP/VERSION/KIND/NAMESPACE/NAME.'),
  file: z.string().max(512).optional(),
  digest: z.string().max(64).optional().describe('Of the manifest that was applied.'),
});
const objectFailure = z.object({
  id: z.string().max(600).optional(),
  file: z.string().max(512),
  line: z.int().optional(),
  message: z.string().max(1024),
});

/** `GitSource.status`. */
export const gitSourceStatus = z.object({
  observedGeneration: z.int().optional(),
  fetchedCommit: z.string().max(64).optional().describe('Newest commit of the reference that was fetched.'),
  appliedCommit: z.string().max(64).optional().describe('Newest commit all of whose objects were applied.'),
  recentCommits: z.array(z.string().max(64)).max(20).optional().describe('Commits that were applied, or came with one that was, newest first.'),
  author: z.string().max(256).optional(),
  subject: z.string().max(256).optional(),
  lastSyncTime: instant().optional(),
  lastHandledRequest: z.string().max(128).optional().describe('Value of the annotation sluice.dev/sync-requested that was last answered.'),
  objects: z.int().optional().describe('Objects that the commit declares.'),
  inventory: z.array(inventoryEntry).max(500).optional(),
  failures: z.array(objectFailure).max(20).optional().describe('Objects that could not be applied; the others were.'),
  conditions: conditions().optional(),
});
export type GitSourceStatus = z.infer<typeof gitSourceStatus>;

/** `AlertProvider.spec`. */
export const alertProviderSpec = withRules(
  z.object({
    type: z.enum(['slack', 'webhook']).describe('`slack`: an incoming webhook of Slack. `webhook`: a POST with the message as JSON.'),
    address: z
      .string()
      .max(2048)
      .regex(/^https?:\/\//)
      .optional()
      .describe('Where to send to. A Slack address is itself a secret: prefer `secretRef`.'),
    secretRef: localReference().optional().describe('Secret with `address`, and `token` for a bearer token.'),
    channel: z.string().max(80).optional().describe('Slack: another channel than that of the incoming webhook.'),
    username: z.string().max(80).default('sluice').describe('Slack: who the message is from.'),
    timeout: duration().default('10s').describe('Longest time for one message.'),
  }),
  [{ rule: 'has(self.address) != has(self.secretRef)', message: 'give either address or secretRef' }],
);

/** Status of the kinds whose only question is whether they can be used. */
export const readyStatus = z.object({
  observedGeneration: z.int().optional(),
  conditions: conditions().optional(),
});
export type ReadyStatus = z.infer<typeof readyStatus>;
export type AlertProviderSpec = z.infer<typeof alertProviderSpec>;
export type CanaryActionSpec = z.infer<typeof canaryActionSpec>;
export type CanaryActionStatus = z.infer<typeof canaryActionStatus>;
