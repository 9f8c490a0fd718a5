import { shortened } from '../../core/text.js';
import { Failure } from '../json-api.js';
import type { ProviderAnswer } from '../provider.js';
import type { ConfigList, Execution } from './schema.js';

/** The id of the configuration with this name. @throws Failure when there is none */
export function configIdOf(configs: ConfigList, name: string): string {
  const found = configs.find((config) => config.name === name);
  if (found) return found.id;
  throw new Failure(`spec.provider.kayenta.canaryConfigName: the application has no canary configuration "${name}"`, true);
}

/** The score as the one sample, with what the judge made of it as a label; NaN where the judge had no data. */
export function scoreOf({ complete, status, result, exception }: Execution, id: string): ProviderAnswer {
  if (!complete) return { kind: 'pending', message: `Kayenta is still judging (canary execution ${id})` };
  const score = result?.judgeResult?.score;
  if (!score) {
    const words = exception?.details?.errors?.join('; ');
    const message = `canary execution ${id} of Kayenta ended without a score (${shortened(words || status || 'no reason was given', 300)})`;
    return { kind: 'failed', message, permanent: false };
  }
  const { classification } = score;
  const value = /^nodata$/i.test(classification ?? '') ? Number.NaN : score.score;
  return { kind: 'samples', samples: [{ labels: classification ? { classification } : {}, value }] };
}
