import type { Refusal } from '../json-api.js';
import { awsJsonError, stsError } from './schema.js';

const DENIED = /AccessDenied|UnrecognizedClient|InvalidClientTokenId|Signature|ExpiredToken|MissingAuthenticationToken|NotAuthorized|OptInRequired|InvalidIdentityToken|IDPRejectedClaim|AuthFailure/;
const BUSY = /Throttl|TooManyRequests|LimitExceeded|SlowDown/;

/** An error of CloudWatch. AWS tells with the code, not with the status, whether keys, haste or the query was at fault. */
export function cloudwatchRefusal(body: unknown): Refusal | undefined {
  const error = awsJsonError.safeParse(body).data;
  if (!error) return undefined;
  const code = error.__type.slice(error.__type.lastIndexOf('#') + 1);
  return {
    message: [code, error.message ?? error.Message].filter(Boolean).join(': '),
    denied: DENIED.test(code),
    busy: BUSY.test(code),
    permanent: /Invalid|Missing|Validation|Malformed/.test(code),
  };
}

/** An error of STS. What is wrong with an identity can be mended without asking something else. */
export function stsRefusal(body: unknown): Refusal | undefined {
  const error = stsError.safeParse(body).data;
  return error && { message: `${error.Code}: ${error.Message}`, denied: !BUSY.test(error.Code) && !/Internal|Unavailable|IDPCommunication/.test(error.Code), busy: BUSY.test(error.Code), permanent: false };
}
