// People log in at an issuer, in a real browser, and out again.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { isAccessible, startBrowser } from './browser.mjs';
import { CLIENT, startIssuer } from './issuer.mjs';
import { config, freePort, startSerin } from './serin.mjs';

const RULES = [
  { who: { group: 'sre' }, may: ['read', 'config'] },
  { who: { user: 'grace@example.com' }, may: ['read'], applications: ['payments'] },
];

let browser, issuer, serin, brief;
before(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  issuer = await startIssuer([`${url}/ui/login/callback`], { ada: ['sre', 'all'], mallory: ['sre'] });
  serin = await startSerin({}, 'documents', configured(port, '8h'));
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await brief?.stop();
  await serin?.stop();
  await issuer?.stop();
});

function configured(port, session) {
  return {
    server: { port, publicUrl: `http://127.0.0.1:${port}` },
    access: {
      login: { issuer: issuer.url, clientId: CLIENT.id, clientSecret: CLIENT.secret, session },
      rules: RULES,
    },
  };
}

async function logIn(page, name) {
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'anything');
  await page.click('button[type=submit]');
  await page.waitForURL(/\/interaction\//);
  await page.click('button[type=submit]');
}

async function loggedIn(name, path = '/ui/configs') {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(serin.url + path);
  await logIn(page, name);
  await page.waitForURL((url) => url.href.startsWith(`${serin.url}/ui`));
  return { context, page };
}

// Without following where it leads, and with no header of its own: `fetch` says that it does not navigate.
const asked = (path, headers = {}, { method = 'GET', body, url = serin.url } = {}) => new Promise((passed, failed) => {
  const sent = http.request(url + path, { method, headers: { accept: 'text/html', ...headers } }, async (answer) => {
    const names = answer.rawHeaders.filter((_, at) => at % 2 === 0);
    const told = names.map((name, at) => [name, answer.rawHeaders[2 * at + 1]]);
    const parts = [];
    for await (const part of answer) parts.push(part);
    passed(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: told }));
  });
  sent.on('error', failed);
  sent.end(body);
});

async function cookieOf(context) {
  const cookies = await context.cookies(serin.url);
  return cookies.find(({ name }) => name === 'serin-session');
}

test('a page leads to the login, which leads back to it', async () => {
  const { context, page } = await loggedIn('ada', '/ui/configs?name=check');
  assert.equal(page.url(), `${serin.url}/ui/configs?name=check`);
  assert.match(await page.textContent('header.top'), /ada@example\.com/);
  await isAccessible(page);
  const cookie = await cookieOf(context);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Lax', '/']);
  assert.equal((await context.cookies(serin.url)).filter(({ name }) => name === 'serin-login').length, 0);
  assert(!Buffer.from(cookie.value, 'base64url').toString('latin1').includes('ada'));
  await context.close();
});

test('a session reads everywhere and changes things on pages only', async () => {
  const { context } = await loggedIn('ada');
  const cookie = `serin-session=${(await cookieOf(context)).value}`;
  const json = { cookie, accept: 'application/json', 'content-type': 'application/json' };
  assert.equal((await asked('/canaryConfig', json)).status, 200);
  assert.equal((await asked('/canaryConfig', { ...json, cookie: '' })).status, 401);
  const body = JSON.stringify(config('by_cookie', []));
  const stored = await asked('/canaryConfig', json, { method: 'POST', body });
  assert.equal(stored.status, 401);
  const elsewhere = { cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  assert.equal((await asked('/ui/logout', elsewhere, { method: 'POST' })).status, 403);
  await context.close();
});

test('only browsers that load a page are led to the login', async () => {
  const leads = [
    ['/ui/configs', {}, 303],
    ['/ui/configs', { 'sec-fetch-mode': 'navigate' }, 303],
    ['/ui/configs', { 'sec-fetch-mode': 'cors' }, 401],
    ['/ui/configs', { accept: 'application/json' }, 401],
    ['/canaryConfig', {}, 401],
  ];
  for (const [path, headers, expected] of leads) {
    const answer = await asked(path, headers);
    assert.equal(answer.status, expected, `${path} ${JSON.stringify(headers)}`);
    if (expected === 303) assert.equal(answer.headers.get('location'), '/ui/login?to=%2Fui%2Fconfigs');
  }
  const begun = await asked('/ui/login?to=https://evil.example');
  assert.equal(begun.status, 303);
  assert(begun.headers.get('location').startsWith(`${issuer.url}/auth?`));
});

test('who has no rights is told so in words', async () => {
  for (const [name, expected] of [['bob', /bob@example\.com does not have the role/], ['mallory', /verified/]]) {
    const { context, page } = await loggedIn(name);
    assert.match(await page.textContent('main'), /403/);
    assert.match(await page.textContent('main'), expected);
    await context.close();
  }
});

test('an answer that is not to a login of this browser is refused', async () => {
  const begun = await asked('/ui/login');
  const cookie = begun.headers.getSetCookie()[0].split(';')[0];
  const state = new URL(begun.headers.get('location')).searchParams.get('state');
  const cases = [
    ['code=x&state=another', { cookie }, 400, /not begun in this browser/],
    [`code=x&state=${state}`, {}, 400, /not begun in this browser/],
    [`code=x&state=${state}`, { cookie: cookie.replace('login=', 'session=') }, 400, /not begun/],
    [`state=${state}`, { cookie }, 400, /without a code/],
    [`code=x&state=${state}&iss=https://evil.example`, { cookie }, 400, /another issuer/],
    [`error=access_denied&state=${state}`, { cookie }, 403, /access_denied/],
    [`code=x&state=${state}`, { cookie }, 403, /does not hold/],
  ];
  for (const [query, headers, status, told] of cases) {
    const answer = await asked(`/ui/login/callback?${query}`, headers);
    assert.equal(answer.status, status, query);
    assert.match(await answer.text(), told);
  }
});

test('a cookie that was tampered with, or is too old, is no session', async () => {
  const { context } = await loggedIn('ada');
  const { value } = await cookieOf(context);
  const tampered = (value.startsWith('A') ? 'B' : 'A') + value.slice(1);
  for (const [sent, expected] of [[value, 200], [tampered, 303], [value.slice(0, 40), 303], ['', 303]]) {
    const answer = await asked('/ui/configs', { cookie: `serin-session=${sent}` });
    assert.equal(answer.status, expected);
  }
  await context.close();

  const port = await freePort();
  const other = await startIssuer([`http://127.0.0.1:${port}/ui/login/callback`], { ada: ['sre'] });
  const kept = issuer;
  issuer = other;
  brief = await startSerin({}, 'documents', configured(port, '2s'));
  issuer = kept;
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${brief.url}/ui/configs`);
  await logIn(page, 'ada');
  await page.waitForURL(`${brief.url}/ui/configs`);
  const [cookie] = await page.context().cookies(brief.url);
  await new Promise((passed) => setTimeout(passed, 2_500));
  const answer = await asked('/ui/configs', { cookie: `${cookie.name}=${cookie.value}` }, { url: brief.url });
  assert.equal(answer.status, 303);
  await other.stop();
});

test('a logout ends the session', async () => {
  const { context, page } = await loggedIn('ada');
  await page.click('header.top button');
  assert.match(await page.textContent('main'), /Logged out/);
  await isAccessible(page);
  assert.equal(await cookieOf(context), undefined);
  await context.clearCookies();
  await page.goto(`${serin.url}/ui/configs`);
  assert(page.url().startsWith(issuer.url));
  await context.close();
});
