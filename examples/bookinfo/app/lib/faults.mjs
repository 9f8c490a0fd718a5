import { settings } from './settings.mjs';

/**
 * Evenly spread numbers in 0..1 (multiples of the golden ratio): of any hundred requests in a row, a rate of 0.05 fails five,
 * give or take one, where coin tosses would fail anything from none to twelve.
 */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

const sequence = (start) => {
  let position = start;
  return () => (position = (position + GOLDEN) % 1);
};

const errors = sequence(Math.random());
const jitter = sequence(Math.random());

export const shouldFail = () => settings.errorRate > 0 && errors() < settings.errorRate;

export const delay = async () => {
  if (settings.latencyMs === 0) return;
  const ms = settings.latencyMs * (0.9 + 0.2 * jitter());
  await new Promise((resolve) => setTimeout(resolve, ms));
};
