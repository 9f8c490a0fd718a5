import { KubeError } from '../kube/types.js';

/** Exit codes that scripts can rely on. */
export const Exit = {
  ok: 0,
  /** The release failed, the action was refused, or the API server said no. */
  failed: 1,
  usage: 2,
  /** The release was superseded or cancelled: neither good nor bad. */
  replaced: 3,
  timeout: 4,
  interrupted: 130,
} as const;

/** A command ends with this message on standard error and this exit code. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly code: number = Exit.failed,
  ) {
    super(message);
    this.name = 'CliError';
  }
}

/** The command line itself is wrong. The message names the flag. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, Exit.usage);
    this.name = 'UsageError';
  }
}

/** What the API server answers for a kind that it does not know, in the words of the real one and of proxies before it. */
const UNKNOWN_KIND = /could not find the requested resource|404 page not found/;

function kubeAdvice(error: KubeError): string | undefined {
  if (error.code === 0)
    return 'check that the server of the kubeconfig is up and can be reached from here (--kubeconfig, --context)';
  if (error.code === 401) return 'these credentials are not accepted: log in again, or choose another context with --context';
  if (error.code === 403) return 'ask for a role that allows it, or choose another namespace with -n';
  if (error.code === 404 && UNKNOWN_KIND.test(error.message)) {
    if (error.message.includes('.sluice.dev')) return 'Sluice is not installed there; run: sluice crds | kubectl apply -f -';
    return 'the API server does not serve this kind; install what brings it';
  }
  if (error.code === 429 || error.code >= 500) return 'the API server cannot answer now; try again soon';
  return undefined;
}

/** One line for people: what failed, on which object, and what to do next. Never a stack trace. */
export function describeError(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ').trim();
  const advice = error instanceof KubeError ? kubeAdvice(error) : undefined;
  return advice === undefined ? message : `${message}; ${advice}`;
}
