import { sendJson, serve } from './lib/service.mjs';

serve('ratings', [
  {
    path: /^\/ratings\/(\d+)$/,
    handle: ({ response, id }) => sendJson(response, 200, { id: Number(id), ratings: { Reviewer1: 5, Reviewer2: 4 } }),
  },
]);
