// A page of another site whose name was made to lead to serin, so that it is of one origin with it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { config, startSerin } from './serin.mjs';

let serin, browser;
before(async () => {
  serin = await startSerin({});
  browser = await startBrowser(['evil.example', 'localhost']);
});
after(async () => {
  await browser?.close();
  await serin?.stop();
});

/// What a page under that name gets of serin by its scripts. Any answer from there is such a page, once its policy is
/// left aside: that of another site would have none.
async function asked(name) {
  const page = await (await browser.newContext({ bypassCSP: true })).newPage();
  await page.goto(`http://${name}:${new URL(serin.url).port}/judges`);
  return page.evaluate(async (config) => {
    const headers = { 'content-type': 'application/json' };
    const read = await fetch('/credentials');
    const written = await fetch('/canaryConfig', { method: 'POST', headers, body: JSON.stringify(config) });
    return { read: read.status, told: await read.text(), written: written.status };
  }, { ...config(`of_${name.replace('.', '_')}`, []), id: `of-${name}` });
}

test('a page whose name leads to serin reads nothing and writes nothing', async () => {
  const { read, told, written } = await asked('evil.example');
  assert.deepEqual([read, written], [421, 421]);
  assert.match(told, /server\.publicUrl or server\.hosts/);
  assert(!told.includes('documents'), told);
  assert.deepEqual(await serin.call('GET', '/canaryConfig'), []);
});

test('a page under a name of this machine does', async () => {
  const { read, written } = await asked('localhost');
  assert.deepEqual([read, written], [200, 200]);
});
