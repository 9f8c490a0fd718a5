import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttp, TransportError, type HttpRequest } from '../../src/net/http.js';

const openssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;

describe.skipIf(!openssl)('a server with a certificate authority of its own', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-authority-'));
  const certificate = (name: string): { key: string; cert: string } => {
    const [key, cert] = [path.join(directory, `${name}.key`), path.join(directory, `${name}.crt`)];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  };
  let server: https.Server;
  let ours: { key: string; cert: string };
  let theirs: { key: string; cert: string };
  let url: URL;
  beforeAll(async () => {
    ours = certificate('ours');
    theirs = certificate('theirs');
    server = https.createServer(ours, (_, response) => void response.end('here'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const send = async (...requests: Partial<HttpRequest>[]): Promise<string[]> => {
    const http = createHttp();
    const answers: string[] = [];
    try {
      for (const request of requests) {
        try {
          answers.push((await http.send({ method: 'GET', url, timeoutMs: 2_000, read: 'whole', maxBytes: 1_000, ...request })).body);
        } catch (error) {
          answers.push(error instanceof TransportError ? error.message.replace(url.host, 'it') : 'something else');
        }
      }
    } finally {
      http.close();
    }
    return answers;
  };

  it('is trusted by who names that authority, and by nobody else', async () => {
    expect(await send({ ca: ours.cert }, {}, { ca: theirs.cert }, { ca: `${theirs.cert}\n${ours.cert}` }, { insecureSkipVerify: true })).toEqual(['here', 'it has a self-signed certificate', 'it has a self-signed certificate', 'here', 'here']);
  });

  it('a connection that one question trusted is not another’s', async () => {
    expect(await send({ insecureSkipVerify: true }, { ca: theirs.cert }, { ca: ours.cert }, { ca: theirs.cert })).toEqual(['here', 'it has a self-signed certificate', 'here', 'it has a self-signed certificate']);
  });

  it('a text that is no certificate is a failure in words', async () => {
    for (const ca of ['', 'not a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])
      expect(await send({ ca })).toEqual(['it was not asked: ca.crt in the Secret holds no certificate in PEM']);
  });

  it('many authorities are forgotten one by one, and trusted again', async () => {
    const many = Array.from({ length: 70 }, (_, index) => ({ ca: `${ours.cert}\n# ${index}\n` }));
    expect(new Set(await send(...many, ...many.slice(0, 3)))).toEqual(new Set(['here']));
  });
});
