// What is seen over time: a run beside the last that passed, and the metrics of a config over its runs.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { TELEPHONE, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, request, startSerin } from './serin.mjs';

// Both sides are equal, but for the errors of the canary; what is silent has no data.
const value = (query, time) => {
  if (/silent/.test(query)) return null;
  return (/errors.*canary/.test(query) ? 4 : 1) + noise('', Math.floor(time / 60) % 60) / 5;
};
const metric = (name) => ({ name, query: `${name}{version="\${scope}"}` });

let prometheus, serin, browser;
const made = {};
before(async () => {
  prometheus = await startPrometheus(value);
  serin = await startSerin({ made: prometheus.url });
  browser = await startBrowser();
  made.config = await serin.store(config('Checkout', ['latency', 'errors', 'silent'].map(metric)));
  for (const [name, scope] of [['good', 'prod-2'], ['bad', 'canary']]) {
    made[name] = await serin.start(`/canary/${made.config}?application=checkout`, request({ scopes: ['prod', scope] }));
    await serin.run(made[name]);
  }
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

const inTab = testsIn(() => ({ browser, serin }));

/// To a run beside the last that passed, by the link of its page. A run is found by its verdict a moment after its end.
async function compare(page, open) {
  const link = page.getByRole('link', { name: 'Compare with the last that passed' });
  for (let turn = 0; turn < 50; turn += 1) {
    await open(`/ui/runs/${made.bad}`);
    if (await link.count()) break;
    await page.waitForTimeout(100);
  }
  await link.click();
  await page.getByRole('heading', { name: '1 of 3 metrics is judged otherwise' }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get('with'), made.good);
}

const drawn = async (article) => {
  const { width, height } = await article.locator('svg').boundingBox();
  assert(width > 250 && height > 50, `${width} × ${height}`);
  const lines = await article.locator('svg path').evaluateAll((paths) => paths.map((path) => path.getBoundingClientRect().width));
  assert(lines.every((line) => line > 200), lines.join(', '));
};

describe('a run beside the last that passed', () => {
  for (const [how, options] of [['', {}], [' without scripts', { javaScriptEnabled: false }], [' on a telephone', { viewport: TELEPHONE }]]) {
    inTab(`tells first what is judged otherwise${how}`, options, async ({ page, open }) => {
      await compare(page, open);
      const articles = page.locator('.beside:visible');
      assert.deepEqual(await articles.locator('h3').allTextContents(), ['errors judged otherwise', 'silent']);
      assert.deepEqual(await articles.first().locator('.badge').allTextContents(), ['High', 'Pass']);
      await drawn(articles.first());
      await page.getByText('1 passes in both').click();
      await drawn(articles.last());
      if (options.javaScriptEnabled !== false) await isAccessible(page);
    });
  }

  inTab('is left for any other run, by its id', {}, async ({ page, open }) => {
    await open(`/ui/runs/${made.good}/compare`);
    await page.getByText('No run by the same config').waitFor();
    await isAccessible(page);
    await page.getByLabel('Beside another run, by its id').fill(made.bad);
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('heading', { name: '1 of 3 metrics is judged otherwise' }).waitFor();
    assert.deepEqual(await page.locator('.beside').first().locator('.badge').allTextContents(), ['Pass', 'High']);
  });
});

describe('the metrics of a config', () => {
  inTab('are told by how often they failed, with the run in which they did', {}, async ({ page, open }) => {
    await open(`/ui/configs/${made.config}`);
    await page.getByRole('link', { name: 'Which metrics fail most' }).click();
    const rows = page.locator('.often tbody tr');
    const told = await rows.evaluateAll((all) => all.map((row) => [
      row.querySelector('th').firstChild.textContent.trim(),
      ...[...row.querySelectorAll('.count')].map((cell) => Number(cell.textContent)),
      row.querySelector('.flag')?.textContent,
    ]));
    assert.deepEqual(told, [
      ['errors', 1, 0, 1, undefined],
      ['silent', 0, 2, 0, 'never decided'],
      ['latency', 0, 0, 2, undefined],
    ]);
    await isAccessible(page);
    await page.getByRole('link', { name: 'failed last' }).click();
    await page.locator('.metric[data-name=errors][open]').waitFor();
    assert.equal(new URL(page.url()).pathname, `/ui/runs/${made.bad}`);
  });
});
