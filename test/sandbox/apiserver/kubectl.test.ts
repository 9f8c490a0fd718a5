import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { canary, canaryCrd, Client, deployment, DEPLOYMENTS, eventually, start } from './harness.js';

const missing = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status !== 0;
if (missing) console.warn('SKIPPED: kubectl is not on PATH; the embedded API server was not tested with the real kubectl');

interface Result {
  code: number;
  out: string;
  err: string;
}

describe.skipIf(missing)('kubectl', () => {
  let server: ApiServer;
  let client: Client;
  let directory: string;

  const run = (args: string[], input?: string): Promise<Result> =>
    new Promise((resolve) => {
      const env = {
        PATH: process.env['PATH'] ?? '',
        HOME: directory,
        KUBECONFIG: join(directory, 'kubeconfig'),
        NO_PROXY: '127.0.0.1',
      };
      const child = execFile('kubectl', args, { env, timeout: 15_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
      });
      child.stdin?.end(input ?? '');
    });
  /** Runs kubectl and wants it to succeed. */
  const kubectl = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await run(line.split(' '), input);
    expect(code, `kubectl ${line}: ${err}`).toBe(0);
    return out;
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'apiserver-'));
    ({ server, client } = await start({ podLogs: (pod, options) => `${pod.metadata.name}/${options.container} says hello\n` }));
    writeFileSync(join(directory, 'kubeconfig'), server.kubeconfig());
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('lists resources and versions', async () => {
    const out = await kubectl('api-resources');
    expect(out).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/);
    expect(out).toMatch(/endpointslices +discovery\.k8s\.io\/v1 +true +EndpointSlice/);
    expect(await kubectl('version')).toContain('Server Version: v1.35');
  });

  it('applies, gets, changes and deletes a Deployment', async () => {
    const manifest = deployment('web', { replicas: 2 });
    expect(await kubectl('apply -f -', stringify(manifest))).toBe('deployment.apps/web created\n');
    expect(await kubectl('apply -f -', stringify(manifest))).toBe('deployment.apps/web unchanged\n');
    const changed = deployment('web', { replicas: 2, minReadySeconds: 1 });
    expect(await kubectl('apply -f -', stringify(changed))).toBe('deployment.apps/web configured\n');
    expect(await kubectl('get deploy web')).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2 +0 +0 +\d+s\n$/);
    expect(await kubectl('get deploy -A -o wide -l app!=other')).toContain('reviews:v1');
    expect(await kubectl('get deploy web -o jsonpath={.spec.replicas}')).toBe('2');
    expect(await kubectl('scale deploy web --replicas=4')).toContain('scaled');
    expect(await kubectl('label deploy web team=a')).toContain('labeled');
    expect(await kubectl('annotate deploy web note=b')).toContain('annotated');
    expect(await kubectl('set image deploy web app=reviews:v2')).toContain('image updated');
    expect(await kubectl('describe deploy web')).toMatch(/Replicas: +4 desired[\s\S]*Image: +reviews:v2/);
    expect(await kubectl('delete deploy web --wait=true --timeout=5s')).toContain('deleted');
    expect((await run(['get', 'deploy', 'web'])).err).toBe('Error from server (NotFound): deployments.apps "web" not found\n');
  });

  it('creates built-in kinds from typed commands', async () => {
    expect(await kubectl('create deployment typed --image=nginx --replicas=3 --port=80')).toContain('created');
    const { body } = await client.get(`${DEPLOYMENTS}/typed`);
    expect(body['spec']).toMatchObject({
      replicas: 3,
      selector: { matchLabels: { app: 'typed' } },
      template: { spec: { containers: [{ name: 'nginx', image: 'nginx', ports: [{ containerPort: 80, protocol: 'TCP' }] }] } },
    });
    await kubectl('create configmap typed --from-literal=a=b');
    expect(await kubectl('get configmap typed -o jsonpath={.data.a}')).toBe('b');
    await kubectl('create secret generic typed --from-literal=p=q');
    expect(await kubectl('get secret typed -o jsonpath={.data.p}')).toBe('cQ==');
    await kubectl('create namespace team');
    await kubectl('expose deploy typed --port=80 --target-port=http');
    expect(await kubectl('get svc typed -o jsonpath={.spec.ports[0].targetPort}')).toBe('http');
    await kubectl('delete namespace team --timeout=5s');
  });

  it('applies on the server side, and shows conflicts', async () => {
    await kubectl('apply --server-side --field-manager=one -f -', stringify(deployment('ssa', { replicas: 1 })));
    const clash = await run(
      ['apply', '--server-side', '--field-manager=two', '-f', '-'],
      stringify(deployment('ssa', { replicas: 5 })),
    );
    expect(clash.code).not.toBe(0);
    expect(clash.err).toContain('Apply failed with 1 conflict: conflict with "one": .spec.replicas');
    await kubectl(
      'apply --server-side --field-manager=two --force-conflicts -f -',
      stringify(deployment('ssa', { replicas: 5 })),
    );
    expect(await kubectl('get deploy ssa -o jsonpath={.spec.replicas}')).toBe('5');
  });

  it('refuses unknown fields by server-side validation', async () => {
    const { code, err } = await run(['apply', '-f', '-'], stringify(deployment('typo', { replica: 1 })));
    expect(code).not.toBe(0);
    expect(err).toContain('unknown field "spec.replica"');
  });

  it('works with custom kinds', async () => {
    await kubectl('apply -f -', stringify(canaryCrd()));
    await kubectl('wait --for=condition=Established crd/canaries.demo.dev --timeout=5s');
    await kubectl('apply -f -', stringify(canary('reviews', { replicas: 2 })));
    await kubectl(
      'patch cn reviews --subresource=status --type=merge -p {"status":{"weight":10,"conditions":[{"type":"Ready","status":"True"}]}}',
    );
    expect(await kubectl('get cn')).toMatch(/^NAME +WEIGHT +READY +AGE\nreviews +10 +True +\d+s\n$/);
    expect(await kubectl('get canaries.demo.dev -o wide')).toContain('TARGET');
    await kubectl('wait --for=condition=Ready cn/reviews --timeout=5s');
    await kubectl('wait --for=jsonpath={.status.weight}=10 cn/reviews --timeout=5s');
    await kubectl('scale cn reviews --replicas=3');
    expect(await kubectl('get cn reviews -o jsonpath={.spec.replicas}')).toBe('3');
    expect(await kubectl('describe cn reviews')).toContain('Weight:');
    const bad = await run(['patch', 'cn', 'reviews', '--type=merge', '-p', '{"spec":{"stepWeight":0}}']);
    expect(bad.err).toContain('spec.stepWeight: Invalid value: 0: spec.stepWeight in body should be greater than or equal to 1');
    expect(await kubectl('explain canaries.spec.stepWeight')).toContain('Step of weight.');
    expect(await kubectl('explain canaries.spec')).toMatch(/target\s+<Object> -required-/);
  });

  it('explains built-in kinds', async () => {
    expect(await kubectl('explain deployment.spec.strategy')).toMatch(/rollingUpdate\s+<RollingUpdateDeployment>/);
    expect(await kubectl('explain pods.spec.containers.ports.containerPort')).toContain('FIELD: containerPort <integer>');
  });

  it('reads logs and events, and waits for a deletion', async () => {
    await kubectl('run p1 --image=nginx:1');
    expect(await kubectl('logs p1')).toBe('p1/p1 says hello\n');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e1' },
      type: 'Warning',
      reason: 'Failed',
      message: 'it broke',
      involvedObject: { kind: 'Pod', name: 'p1', namespace: 'default' },
    };
    await kubectl('apply -f -', stringify(event));
    expect(await kubectl('get events')).toMatch(/Warning +Failed +pod\/p1 +it broke/);
    expect(await kubectl('events')).toContain('it broke');
    const waiting = run(['wait', '--for=delete', 'pod/p1', '--timeout=10s']);
    await kubectl('delete pod p1 --wait=false');
    expect((await waiting).code).toBe(0);
  });

  it('follows a rollout', async () => {
    await kubectl('apply -f -', stringify(deployment('roll', { replicas: 1 })));
    const status = run(['rollout', 'status', 'deploy/roll', '--timeout=10s']);
    await client.merge(`${DEPLOYMENTS}/roll/status`, {
      status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
    });
    expect(await status).toMatchObject({ code: 0, out: expect.stringContaining('successfully rolled out') as string });
  });

  it('watches', async () => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: directory, KUBECONFIG: join(directory, 'kubeconfig') };
    const child = execFile('kubectl', ['get', 'cm', '-w', '-l', 'watched=yes'], { env });
    let out = '';
    child.stdout?.on('data', (chunk: string) => (out += chunk));
    try {
      await client.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'first', labels: { watched: 'yes' } } });
      await eventually('the first row', () => out.includes('first'));
      await client.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'second', labels: { watched: 'yes' } } });
      await eventually('the second row', () => out.includes('second'));
    } finally {
      child.kill();
    }
    expect(out).toMatch(/^NAME +DATA +AGE\nfirst +0 +\d+s\nsecond +0 +\d+s\n/);
  });
});
