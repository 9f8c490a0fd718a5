import { sendJson, serve } from './lib/service.mjs';

const BOOK = {
  author: 'William Shakespeare',
  year: 1595,
  type: 'paperback',
  pages: 200,
  publisher: 'PublisherA',
  language: 'English',
  'ISBN-10': '1234567890',
  'ISBN-13': '123-1234567890',
};

serve('details', [
  { path: /^\/details\/(\d+)$/, handle: ({ response, id }) => sendJson(response, 200, { id: Number(id), ...BOOK }) },
]);
