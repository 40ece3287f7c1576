// People log in at oauth2-proxy, which stands before serin as docs/access.md says. SERIN_TEST_OAUTH2_PROXY is the
// program: tests/real/access builds it, and runs this.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { CLIENT, startIssuer } from './issuer.mjs';
import { config, freePort, startSerin } from './serin.mjs';

let browser, issuer, serin, proxy, url;
before(async () => {
  const [port, behind] = [await freePort(), await freePort()];
  url = `http://127.0.0.1:${port}`;
  issuer = await startIssuer([`${url}/oauth2/callback`], { ada: ['sre'], carol: ['checkout'] });
  serin = await startSerin({}, 'documents', {
    // From everywhere on this machine, of which 127.0.0.1 is the proxy.
    server: { address: '0.0.0.0', port: behind, publicUrl: url },
    access: {
      proxies: [{ addresses: ['127.0.0.1'], userHeader: 'X-Forwarded-User', groupsHeader: 'X-Forwarded-Groups' }],
      rules: [
        { who: { group: 'sre' }, may: ['admin'] },
        { who: { user: '*' }, may: ['read'] },
        { who: { user: '*', group: 'checkout' }, may: ['start', 'config', 'delete'], applications: ['checkout*'] },
      ],
    },
  });
  proxy = spawn(process.env.SERIN_TEST_OAUTH2_PROXY, [
    '--provider=oidc', `--oidc-issuer-url=${issuer.url}`, `--client-id=${CLIENT.id}`, `--client-secret=${CLIENT.secret}`,
    '--code-challenge-method=S256', '--scope=openid email profile', '--oidc-groups-claim=groups', '--email-domain=*',
    '--skip-provider-button', '--pass-user-headers', `--redirect-url=${url}/oauth2/callback`, `--http-address=127.0.0.1:${port}`,
    `--upstream=http://127.0.0.1:${behind}`, '--cookie-secure=false', '--cookie-secret=0123456789abcdef0123456789abcdef',
  ], { stdio: ['ignore', 'inherit', 'inherit'] });
  await listening(port);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  proxy?.kill();
  await serin?.stop();
  await issuer?.stop();
});

async function listening(port) {
  for (let left = 100; left; left -= 1) {
    const there = await fetch(`http://127.0.0.1:${port}/ping`).then(() => true, () => false);
    if (there) return;
    await new Promise((passed) => setTimeout(passed, 100));
  }
  throw new Error('oauth2-proxy does not start');
}

async function loggedIn(name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${url}/ui/configs`);
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'anything');
  await page.click('button[type=submit]');
  await page.waitForURL(/\/interaction\//);
  await page.click('button[type=submit]');
  await page.waitForURL(`${url}/ui/configs`);
  const stores = async (application, headers = {}) => {
    const data = { ...config('of_a_person', []), name: `of_${name}_${application}`, applications: [application] };
    const answer = await context.request.post(`${url}/canaryConfig`, { data, headers });
    return [answer.status(), await answer.text()];
  };
  return { context, page, stores };
}

test('each may what the groups that the proxy tells may', async () => {
  const cases = [
    ['ada', 'checkout', 200], ['ada', 'payments', 200],
    ['carol', 'checkout', 200], ['carol', 'payments', 403],
    ['bob', 'checkout', 403],
  ];
  for (const [name, application, status] of cases) {
    const { context, page, stores } = await loggedIn(name);
    assert.match(await page.textContent('header.top'), new RegExp(name));
    const [answered, told] = await stores(application);
    assert.equal(answered, status, `${name}, ${application}: ${told}`);
    await context.close();
  }
});

test('what a client says of itself is taken off by the proxy', async () => {
  const { context, stores } = await loggedIn('bob');
  const headers = { 'X-Forwarded-User': 'ada', 'X-Forwarded-Groups': 'sre' };
  const [status, told] = await stores('checkout', headers);
  assert.equal(status, 403);
  assert.match(told, /bob/);
  await context.close();
});

test('who goes around the proxy is believed nothing', async () => {
  const { port } = new URL(serin.url);
  const asked = http.get({
    host: '127.0.0.1', port, path: '/canaryConfig', localAddress: '127.0.0.2',
    headers: { host: new URL(url).host, 'X-Forwarded-User': 'ada', 'X-Forwarded-Groups': 'sre' },
  });
  const answer = await new Promise((passed, failed) => asked.on('response', passed).on('error', failed));
  answer.resume();
  assert.equal(answer.statusCode, 401);
});
