import { z } from 'zod';
import { duration, withRules } from './common.js';

/** How one header or query parameter has to read; Istio's StringMatch, with `suffix` as Flagger has it. */
const stringMatch = withRules(
  z.object({
    exact: z.string().max(1024).optional().describe('The whole value.'),
    prefix: z.string().min(1).max(1024).optional().describe('How the value begins.'),
    suffix: z.string().min(1).max(1024).optional().describe('How the value ends.'),
    regex: z.string().min(1).max(1024).optional().describe('RE2, for the whole value.'),
  }),
  [
    {
      rule: '(has(self.exact) ? 1 : 0) + (has(self.prefix) ? 1 : 0) + (has(self.suffix) ? 1 : 0) + (has(self.regex) ? 1 : 0) == 1',
      message: 'a match needs exactly one of exact, prefix, suffix and regex',
    },
  ],
);
export type StringMatch = z.infer<typeof stringMatch>;

const trafficMatch = withRules(
  z.object({
    headers: z
      .record(z.string().max(253), stringMatch)
      .optional()
      .describe('By header name, in lower case. For a cookie, match `cookie` by regex: `^(.*?;)?(user=jason)(;.*)?$`.'),
    queryParams: z.record(z.string().max(253), stringMatch).optional().describe('By name of the query parameter.'),
    sourceLabels: z.record(z.string().max(317), z.string().max(63)).optional().describe('Labels of the calling pods; callers need a sidecar.'),
  }),
  [
    {
      rule: 'has(self.headers) || has(self.queryParams) || has(self.sourceLabels)',
      message: 'a match needs headers, queryParams or sourceLabels; an empty one would take everybody',
    },
  ],
);
export type TrafficMatch = z.infer<typeof trafficMatch>;

/** Requests for which any of the list holds; within one entry all of it must hold. */
export const trafficMatches = () => z.array(trafficMatch).min(1).max(10);

const percentage = z.object({ value: z.number().min(0).max(100).describe('Percent of the requests.') }).optional().describe('Share of the requests; default all of them.');

export const faultInjection = withRules(
  z.object({
    host: z
      .string()
      .min(1)
      .max(253)
      .describe('Service that the canary calls, by name; only requests that the pods of the canary send to it are disturbed.'),
    delay: z.object({ fixedDelay: duration().describe('How much later.'), percentage }).optional().describe('As in Istio: answer later by this much.'),
    abort: z.object({ httpStatus: z.int().min(200).max(599).describe('The status of the answer.'), percentage }).optional().describe('As in Istio: answer with this status at once.'),
  }),
  [{ rule: 'has(self.delay) || has(self.abort)', message: 'fault needs delay, abort or both' }],
);
export type FaultInjection = z.infer<typeof faultInjection>;

const cookieName = () =>
  z
    .string()
    .min(1)
    .max(63)
    .regex(/^[A-Za-z0-9_.-]+$/);

export const sessionAffinity = withRules(
  z.object({
    cookieName: cookieName().describe('Cookie that keeps a user on the new version once they were sent there.'),
    primaryCookieName: cookieName()
      .optional()
      .describe('Cookie that keeps the other users on the stable version until the promotion: only new users are divided then.'),
    maxAge: z.int().min(1).max(34_560_000).default(86_400).describe('Seconds that a browser keeps the cookies. They mean nothing once the release has ended.'),
    domain: z
      .string()
      .min(1)
      .max(253)
      .regex(/^\.?[A-Za-z0-9.-]+$/)
      .optional()
      .describe('Attribute `Domain` of the cookies; default: the host of the request alone.'),
    path: z
      .string()
      .max(253)
      .regex(/^\/[A-Za-z0-9._~/-]*$/)
      .optional()
      .describe('Default: the path of the request, as browsers have it.'),
    httpOnly: z.boolean().optional().describe('Attribute `HttpOnly`: scripts of the page cannot read the cookies.'),
    secure: z.boolean().optional().describe('Attribute `Secure`: sent over https only.'),
    partitioned: z.boolean().optional().describe('Attribute `Partitioned`: kept apart for each site that embeds the page.'),
    sameSite: z.enum(['Strict', 'Lax', 'None']).optional().describe('Attribute `SameSite`; `None` needs `secure: true`.'),
  }),
  [
    { rule: '!has(self.primaryCookieName) || self.primaryCookieName != self.cookieName', message: 'cookieName and primaryCookieName must differ' },
    { rule: "!has(self.sameSite) || self.sameSite != 'None' || (has(self.secure) && self.secure)", message: 'browsers refuse sameSite None without secure: true' },
  ],
);
export type SessionAffinity = z.infer<typeof sessionAffinity>;

const step = withRules(
  z.object({
    weight: z.int().min(0).max(100).default(0).describe('Share of the traffic for the canary, in percent.'),
    hold: duration().optional().describe('How long the canary keeps this step at least; default is `analysis.interval`.'),
    replicas: z
      .union([z.int().min(1).max(100_000), z.string().max(4)])
      .optional()
      .describe('Pods of the canary in this step: a number, or a percentage of what the stable version has, such as `50%`. Default `100%`; never fewer than the weight needs.'),
    approve: z
      .boolean()
      .optional()
      .describe('Wait in this step until somebody approves (`sluice approve NAME`). The deadline does not run meanwhile.'),
    match: trafficMatches().optional().describe('Requests that go to the canary in this step, whatever the weight says of the others.'),
    mirror: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .describe('Percent of the requests that are also sent to the canary, its answers thrown away. Judged on what the canary answered.'),
    fault: faultInjection.optional().describe('Disturb what the canary calls, and see whether it copes. It is taken away with the step, however the run ends.'),
  }),
  [
    {
      rule: "!has(self.replicas) || type(self.replicas) == int || self.replicas.matches('^([1-9][0-9]?|100)%$')",
      message: 'replicas must be a number, or a percentage from 1% to 100%',
    },
  ],
);
export type StepSpec = z.infer<typeof step>;

export const steps = () =>
  withRules(z.array(step).min(1).max(50), [
    { rule: 'self.map(s, s.weight).isSorted()', message: 'the weights of steps must increase from step to step' },
    {
      rule: 'self.all(s, has(s.match) || has(s.mirror) || has(s.fault) || has(s.replicas) || self.exists_one(x, x.weight == s.weight && !has(x.match) && !has(x.mirror) && !has(x.fault) && !has(x.replicas)))',
      message: 'the weights of steps must increase, or the steps of one weight differ in match, mirror, fault or replicas',
    },
  ]);
