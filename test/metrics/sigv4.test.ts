import { expect, it } from 'vitest';
import { signed, type SignableRequest } from '../../src/metrics/cloudwatch/sigv4.js';

/** Key and moment of the examples that AWS publishes for Signature Version 4. */
const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const MOMENT = Date.UTC(2015, 7, 30, 12, 36, 0);
const SESSION =
  'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==';

const get = (url: string, headers: Record<string, string> = {}): SignableRequest => ({ method: 'GET', url: new URL(url), headers, body: '' });
const post = (headers: Record<string, string> = {}, body = ''): SignableRequest => ({ method: 'POST', url: new URL('https://example.amazonaws.com/'), headers, body });

it.each([
  ['get-vanilla', get('https://example.amazonaws.com/'), 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['get-vanilla-query-order-key-case', get('https://example.amazonaws.com/?Param2=value2&Param1=value1'), 'host;x-amz-date', 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500'],
  ['post-vanilla', post(), 'host;x-amz-date', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  [
    'post-x-www-form-urlencoded',
    post({ 'Content-Type': 'application/x-www-form-urlencoded' }, 'Param1=value1'),
    'content-type;host;x-amz-date',
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
])('signs as the test suite of AWS has it: %s', (_name, request, names, signature) => {
  const headers = signed(request, KEYS, { region: 'us-east-1', service: 'service' }, MOMENT);
  expect(headers['x-amz-date']).toBe('20150830T123600Z');
  expect(headers['authorization']).toBe(`AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${names}, Signature=${signature}`);
});

it('signs the token of keys that are lent: post-sts-header-before', () => {
  const headers = signed(post(), { ...KEYS, sessionToken: SESSION }, { region: 'us-east-1', service: 'service' }, MOMENT);
  expect(headers['x-amz-security-token']).toBe(SESSION);
  expect(headers['authorization']).toMatch(/SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead$/);
});

it('signs the example of the documentation: ListUsers of IAM', () => {
  const request = get('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08', { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' });
  const headers = signed(request, KEYS, { region: 'us-east-1', service: 'iam' }, MOMENT);
  expect(headers['authorization']).toMatch(/Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/);
});
