import { describe, expect, it, vi } from 'vitest';
import type { MetricTemplate } from '../../src/api/index.js';
import { reportTemplates, templateCondition } from '../../src/engine/template-status.js';

const template = (spec: object, more: Partial<MetricTemplate> = {}): MetricTemplate => ({
  apiVersion: 'sluice.dev/v1beta1',
  kind: 'MetricTemplate',
  metadata: { name: 'queue', namespace: 'shop', generation: 2 },
  spec: { provider: { type: 'prometheus', insecureSkipVerify: false }, ...spec } as MetricTemplate['spec'],
  ...more,
});
const AT = Date.parse('2030-01-01T00:00:00Z');

describe('a MetricTemplate', () => {
  it('that can be asked is ready', () => {
    expect(templateCondition(template({ query: 'up' }), AT)).toEqual({ type: 'Ready', status: 'True', reason: 'Configured', message: 'it can be asked', observedGeneration: 2, lastTransitionTime: '2030-01-01T00:00:00.000Z' });
  });

  it.each<[string, object, string, string]>([
    ['with a typo', { query: 'sum(up' }, 'InvalidQuery', 'spec.query at 1:7: parse error: unclosed left parenthesis'],
    ['of an older form', { query: 7 }, 'InvalidSpec', 'spec.query: '],
  ])('%s is not', (_name, spec, reason, message) => {
    expect(templateCondition(template(spec), AT)).toMatchObject({ status: 'False', reason, message: expect.stringContaining(message) as string });
  });

  it('of which nothing new is to be said is left alone, and a change keeps the time of what stays so', () => {
    const first = templateCondition(template({ query: 'up' }), AT);
    const status = { conditions: first ? [first] : [] };
    expect(templateCondition(template({ query: 'up' }, { status }), AT + 1_000)).toBeUndefined();
    const next = { metadata: { name: 'queue', namespace: 'shop', generation: 3 }, status };
    expect(templateCondition(template({ query: 'up' }, next), AT + 1_000)).toMatchObject({ observedGeneration: 3, lastTransitionTime: '2030-01-01T00:00:00.000Z' });
    expect(templateCondition(template({ query: 'sum(' }, next), AT + 1_000)).toMatchObject({ status: 'False', lastTransitionTime: '2030-01-01T00:00:01.000Z' });
  });
});

it('each template is told of at the start and after each change, until it is stopped', async () => {
  const objects = [template({ query: 'up' }), template({ query: 'sum(' })];
  const listeners = new Set<(key: { name: string }, object: MetricTemplate | undefined) => void>();
  const written: unknown[] = [];
  const onError = vi.fn();
  const stop = reportTemplates({
    cache: {
      metricTemplates: {
        list: () => objects,
        onChange: (listener: (key: { name: string }, object: MetricTemplate | undefined) => void) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      } as never,
    },
    writer: {
      patch: (_resource: unknown, of: MetricTemplate, body: { status: { conditions: { status: string }[] } }, _into: unknown, options: object) => {
        written.push([of.metadata.name, body.status.conditions[0]?.status, options]);
        return written.length === 3 ? Promise.reject(new Error('conflict')) : Promise.resolve(of);
      },
    } as never,
    now: () => AT,
    onError,
  });
  const said = (status: string) => ['queue', status, { subresource: 'status' }];
  expect(written).toEqual([said('True'), said('False')]);
  for (const listener of listeners) listener({ name: 'queue' }, template({ query: 'sum(up)' }));
  for (const listener of listeners) listener({ name: 'queue' }, undefined);
  expect(written).toHaveLength(3);
  await vi.waitFor(() => expect(onError).toHaveBeenCalledOnce());
  stop();
  expect(listeners.size).toBe(0);
});
