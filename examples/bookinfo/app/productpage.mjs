import { call } from './lib/call.mjs';
import { sendHtml, sendJson, serve } from './lib/service.mjs';
import { settings } from './lib/settings.mjs';

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (value) => String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);

/** What a service answered, or undefined: the page shows what it can get. */
const ask = async (host, path, request) => {
  if (!settings.meshUrl) return undefined;
  try {
    return await call(host, path, request);
  } catch (error) {
    console.error(`${host}: ${error.message}`);
    return undefined;
  }
};

const stars = (rating) => {
  if (!rating) return '';
  if (rating.error) return `<p><em>${escape(rating.error)}</em></p>`;
  const shown = '★'.repeat(Math.max(0, rating.stars));
  return `<p style="color:${escape(rating.color)}" title="${escape(rating.stars)} stars">${shown}</p>`;
};

const detailsHtml = (details) => {
  if (!details) return '<p>Sorry, product details are currently unavailable for this book.</p>';
  const rows = Object.entries(details).filter(([name]) => name !== 'id');
  return `<dl>${rows.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join('')}</dl>`;
};

const reviewsHtml = (answer) => {
  if (!answer) return '<p>Sorry, product reviews are currently unavailable for this book.</p>';
  const quotes = answer.reviews.map(
    ({ reviewer, text, rating }) =>
      `<blockquote><p>${escape(text)}</p><cite>${escape(reviewer)}</cite>${stars(rating)}</blockquote>`,
  );
  const config = answer.config === undefined ? '' : `<p>Config: ${escape(answer.config)}</p>`;
  return `${quotes.join('')}${config}<p>Reviews served by: ${escape(answer.podname)}</p>`;
};

const page = (user, details, reviews) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Bookinfo</title></head>
<body>
<h1>The Comedy of Errors</h1>
${user ? `<p>Signed in as ${escape(user)}</p>` : ''}
<h2>Details</h2>
${detailsHtml(details)}
<h2>Reviews</h2>
${reviewsHtml(reviews)}
</body>
</html>
`;

serve('productpage', [
  {
    path: /^\/(?:productpage)?$/,
    async handle({ request, response, url }) {
      const [details, reviews] = await Promise.all([
        ask('details', '/details/0', request),
        ask('reviews', '/reviews/0', request),
      ]);
      sendHtml(response, 200, page(url.searchParams.get('u'), details, reviews));
    },
  },
  {
    path: /^\/api\/v1\/products\/(\d+)\/reviews$/,
    async handle({ request, response, id }) {
      const reviews = await ask('reviews', `/reviews/${id}`, request);
      if (reviews) sendJson(response, 200, reviews);
      else sendJson(response, 503, { error: 'Sorry, product reviews are currently unavailable for this book.' });
    },
  },
]);
