import { shortened } from '../core/text.js';
import { KubeError } from '../kube/index.js';
import type { ProviderAnswer } from './provider.js';

/** How much of the API server's words is repeated, in characters. */
const MAX_QUOTE = 400;

/**
 * What a refusal of the API server means for a question.
 * @param forbidden what to do when the controller has no right to it
 */
export function kubeFailure(error: unknown, forbidden: string): ProviderAnswer {
  if (!(error instanceof KubeError)) throw error;
  const message = shortened(error.message, MAX_QUOTE);
  if (error.code === 403 && !/exceeded quota/.test(error.message)) return { kind: 'failed', message: `${message}; ${forbidden}`, permanent: true };
  return { kind: 'failed', message, permanent: error.code === 400 || error.code === 422 };
}

/** Nothing that has a cluster is without its API server; a tool that only reads files may be. */
export const NO_CLUSTER: ProviderAnswer = { kind: 'failed', message: 'there is no Kubernetes API server to ask here', permanent: true };
