/** What a GitSource may reach beyond its own namespace. docs/decisions/0013-git-tenancy.md says why. */
export interface Tenancy {
  /** `--allow-cross-namespace`. */
  allowCrossNamespace: boolean;
  /** Where the controller itself is installed; its GitSources belong to whoever runs it. Unset when it looks after one namespace only. */
  ownNamespace?: string;
}

/**
 * Whether a GitSource of the namespace `from` may touch something, or carry verdicts for something, in `namespace`.
 * @param namespace undefined for what belongs to the whole cluster.
 */
export const mayReach = ({ allowCrossNamespace, ownNamespace }: Tenancy, from: string, namespace: string | undefined): boolean =>
  allowCrossNamespace || from === ownNamespace || from === namespace;

/** For people, and what they can do about it. */
export const beyondReach = (from: string, namespace: string | undefined): string =>
  `${namespace === undefined ? 'belongs to the whole cluster' : `lies in namespace ${namespace}`}, and a GitSource of ${from} reaches that namespace only; ${namespace === undefined ? '' : `make a GitSource in ${namespace}, or `}have it applied by a GitSource in the namespace of the controller, or start the controller with --allow-cross-namespace`;
