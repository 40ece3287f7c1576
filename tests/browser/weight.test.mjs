// How heavy a large run is in a browser, and how long it takes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser, watched } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, request, startSerin } from './serin.mjs';

const KB = 1024;

let prometheus, serin, browser;
before(async () => {
  prometheus = await startPrometheus((query, time) => 100 + 20 * Math.sin(time / 5000) + 10 * noise(query, time));
  serin = await startSerin({ made: prometheus.url });
  browser = await startBrowser();
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

async function large(metrics) {
  const names = Array.from({ length: metrics }, (_, index) => `metric_${index}`);
  const canaryConfig = config(`${metrics} metrics`, names.map((name) => ({ name, query: `${name}{version="\${scope}"}` })));
  const id = await serin.start('/canary?application=checkout', { canaryConfig, executionRequest: request({ minutes: 1439 }) });
  const { result } = await serin.run(id);
  assert.equal(result.judgeResult.results.length, metrics);
  assert.equal(result.judgeResult.results[0].controlMetadata.stats.count, 1440);
  return id;
}

/// Bytes of the page as they came over the wire and as they were read, and when all was laid out.
async function weigh(page) {
  const sparklines = await page.locator('.metric .spark svg').evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().width > 0).length);
  const of = await page.evaluate(() => {
    const [{ encodedBodySize, decodedBodySize, loadEventEnd }] = performance.getEntriesByType('navigation');
    const { startTime } = performance.getEntriesByName('first-contentful-paint')[0];
    const assets = performance.getEntriesByType('resource').reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
    return { sent: encodedBodySize, read: decodedBodySize, assets, painted: startTime, loaded: loadEventEnd };
  });
  return { sparklines, ...of };
}

for (const [metrics, limit] of [[30, 300 * KB], [50, 500 * KB]]) {
  test(`a run of ${metrics} metrics × 1,440 points is light and quick`, { timeout: 60_000 }, async () => {
    const id = await large(metrics);
    const tab = await watched(browser, serin);
    const { page } = tab;
    await tab.open(`/ui/runs/${id}`);
    const drawn = await weigh(page);
    assert.equal(drawn.sparklines, metrics);
    assert(drawn.read < limit, `${drawn.read} bytes`);

    const opening = Date.now();
    await page.evaluate(() => document.querySelectorAll('.metric').forEach((one) => { one.open = true; }));
    await page.waitForFunction((count) => document.querySelectorAll('.metric canvas').length === count, metrics);
    const opened = Date.now() - opening;
    const round = (number) => Math.round(number);
    console.log(`${metrics} × 1,440: page ${round(drawn.sent / KB)} KB sent, ${round(drawn.read / KB)} KB read, ` +
      `its files ${round(drawn.assets / KB)} KB; first paint ${round(drawn.painted)} ms, loaded ${round(drawn.loaded)} ms; all charts opened and drawn ${opened} ms`);
    // The aim is a second; a machine that is busy with other tests gets more.
    assert(drawn.loaded < 5000 && opened < 20_000, `${drawn.loaded} ms, ${opened} ms`);

    const report = await tab.open(`/ui/runs/${id}/report.html`);
    console.log(`${metrics} × 1,440: report file ${round((await report.body()).length / KB)} KB`);
    tab.isQuiet();
    await tab.close();
  });
}
