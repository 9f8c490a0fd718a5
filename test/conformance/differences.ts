import type { Difference } from './compare.js';

/**
 * Where the embedded API does not answer as a kube-apiserver does. A difference that is not here fails the tests, and so does one that
 * is here and is none any more. docs/embedded-api.md tells every reason.
 */
export const differences: readonly Difference[] = [
  {
    requests: 'any',
    at: ['body/columnDefinitions/*/description', 'body/*/object/columnDefinitions/*/description'],
    reason: 'Tables carry no descriptions of columns for built-in kinds: no program reads them.',
  },
  {
    requests: [
      'the state came, and the bookmark',
      'an empty state is a bookmark alone',
      'the state came as tables, and the bookmark',
      'the state came as metadata, and the bookmark',
      'the watch from the state saw the state, the bookmark and every change',
    ],
    at: ['body'],
    reason:
      'The tests run kube-apiserver on the etcd of Debian 12, which is too old for watches that begin with the state; the embedded API answers them as kube-apiserver does on etcd 3.6.',
  },
  {
    requests: ['an apply that is not YAML', 'a body in YAML that does not parse'],
    at: ['body/message'],
    reason: 'The YAML parser has words of its own for what it cannot read.',
  },
  {
    requests: ['a continue token that is nonsense'],
    at: ['body/message'],
    reason: 'A continue token that cannot be read is quoted, not explained byte by byte.',
  },
  {
    requests: ['a VirtualService with a timeout that is none'],
    at: ['body/details/causes/0/message', 'body/message'],
    reason: 'The CEL evaluator has words of its own for a rule that cannot be evaluated; the request is refused all the same.',
  },
  {
    requests: ['the resources of the core group'],
    at: ['body'],
    reason:
      'Subresources that need a kubelet or a proxy (exec, attach, port-forward, proxy) or that nothing in the sandbox uses are not served.',
  },
  {
    requests: ['a definition with two storage versions'],
    at: ['body/details/causes', 'body/message'],
    reason: 'A definition with two storage versions is refused with the names of its versions, not with all their fields.',
  },
];
