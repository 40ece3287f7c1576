// The executions recorded with Kayenta: what did not pass says why, by what query, and shows it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startBrowser, watched } from './browser.mjs';
import { startSerin } from './serin.mjs';

const recorded = gunzipSync(fs.readFileSync(`${process.env.SERIN_ROOT}/tests/golden/http.jsonl.gz`))
  .toString().trim().split('\n').map((line) => JSON.parse(line));
const ACCOUNTS = ['my-prometheus', 'in-memory-account'];
// serin refuses what Kayenta failed later on.
const REFUSED = /must specify a classifier|Unable to resolve metrics service/;

let serin, browser;
before(async () => {
  serin = await startSerin({ 'my-prometheus': process.env.SERIN_TEST_PROMETHEUS_URL }, 'in-memory-account');
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await serin?.stop();
});

/// Sends the canaries again that Kayenta accepted, on the accounts that are real here.
async function runAgain() {
  const started = [];
  for (const { name, request, response } of recorded) {
    const { query = {}, body } = request;
    const accounts = Object.keys(query).filter((member) => member.endsWith('AccountName')).map((member) => query[member]);
    if (request.method !== 'POST' || response.status !== 200 || !accounts.every((account) => ACCOUNTS.includes(account))) continue;
    const path = `${request.path}?${new URLSearchParams(query)}`;
    if (name === 'flow-config') await serin.store(body);
    if (/^\/canary(\/flow-id)?$/.test(request.path)) started.push(serin.start(path, body).then(serin.run, refused));
  }
  return (await Promise.all(started)).filter((execution) => execution);
}

function refused(error) {
  assert.match(error.message, REFUSED);
}

test('every result that is not Pass has a reason, both queries and a chart', { timeout: 90_000 }, async () => {
  const executions = await runAgain();
  const notPassed = executions
    .map((execution) => ({ id: execution.pipelineId, results: (execution.result?.judgeResult?.results ?? []).filter((result) => result.classification !== 'Pass') }))
    .filter(({ results }) => results.length);
  const labels = new Set(notPassed.flatMap(({ results }) => results.map((result) => result.classification)));
  assert.deepEqual([...labels].sort(), ['High', 'Low', 'Nodata', 'NodataFailMetric']);

  const tab = await watched(browser, serin);
  const { page } = tab;
  let charts = 0;
  for (const { id, results } of notPassed) {
    await tab.open(`/ui/runs/${id}`);
    const rows = page.locator('.metric:not(.pass)');
    assert.equal(await rows.count(), results.length, id);
    for (const row of await rows.all()) {
      const name = `${id}: ${await row.getAttribute('data-name')}`;
      await row.locator('summary').first().click();
      assert((await row.locator('.sentence').innerText()).length > 20, name);
      assert.equal(await row.locator('.query pre').count(), 2, name);
      // Where neither side has a point there is nothing to draw, and the row says so.
      const label = await row.locator('.badge').first().innerText();
      const isEmpty = await row.getByText('no series').count() === 1;
      if (isEmpty) {
        assert.match(label, /no data/i, name);
        continue;
      }
      const drawn = await row.locator('canvas').boundingBox();
      assert(drawn.width > 300 && drawn.height > 100, name);
      charts++;
    }
  }
  tab.isQuiet();
  console.log(`${executions.length} executions; of ${notPassed.flatMap(({ results }) => results).length} results that did not pass, ${charts} have a chart, the others no point on either side`);
  assert(charts >= 20, String(charts));
});
