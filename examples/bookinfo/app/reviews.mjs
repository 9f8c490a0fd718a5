import { call } from './lib/call.mjs';
import { sendJson, serve } from './lib/service.mjs';
import { settings } from './lib/settings.mjs';

/** v1 shows no stars, v2 black ones, v3 and later red ones. */
const COLORS = { v1: undefined, v2: 'black' };
const color = settings.version in COLORS ? COLORS[settings.version] : 'red';

const TEXTS = {
  Reviewer1: 'Two pairs of twins, one long day, and not a dull page among them.',
  Reviewer2: 'Light and quick, though I lost count of who was mistaken for whom.',
};

const STATIC = { Reviewer1: 5, Reviewer2: 4 };

/** Stars by reviewer; undefined when the ratings service does not answer. */
const starsFor = async (id, request) => {
  if (!settings.meshUrl) return STATIC;
  try {
    return (await call('ratings', `/ratings/${id}`, request)).ratings;
  } catch (error) {
    console.error(`ratings: ${error.message}`);
    return undefined;
  }
};

const rate = (stars, reviewer) =>
  stars ? { stars: stars[reviewer] ?? -1, color } : { error: 'Ratings service is currently unavailable' };

serve('reviews', [
  {
    path: /^\/reviews\/(\d+)$/,
    async handle({ request, response, id }) {
      const stars = color === undefined ? undefined : await starsFor(id, request);
      const reviews = Object.entries(TEXTS).map(([reviewer, text]) =>
        color === undefined ? { reviewer, text } : { reviewer, text, rating: rate(stars, reviewer) },
      );
      const clustername = process.env.CLUSTER_NAME ?? 'null';
      sendJson(response, 200, { id, podname: settings.podName, clustername, config: settings.config, reviews });
    },
  },
]);
