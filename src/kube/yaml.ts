import type { Tags } from 'yaml';

/** YAML as kubectl reads it: version 1.1 (`yes`, `0644`), but dates, times and binary stay text. For `customTags`. */
export function likeKubectl(tags: Tags): Tags {
  const left = new Set(['timestamp', 'binary', 'omap', 'pairs', 'set']);
  return tags.filter((tag) => {
    if (typeof tag === 'string') return !left.has(tag);
    const suffix = tag.tag.replace('tag:yaml.org,2002:', '');
    return !left.has(suffix) && !('format' in tag && tag.format === 'TIME');
  });
}
