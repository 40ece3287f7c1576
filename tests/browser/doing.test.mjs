// What is found, and what is done, on the pages.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { TELEPHONE, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, request, startSerin } from './serin.mjs';

const value = (query, time) => (/errors.*canary/.test(query) ? 4 : 1) + noise(query, Math.floor(time / 60) % 60) / 5;
const metric = (name, policy = {}) => ({ name, query: `${name}{version="\${scope}"}`, policy });
const NAMES = ['latency', 'errors', 'traffic', 'memory', 'cpu', 'threads', 'queue'];

let prometheus, serin, browser;
const made = {};
before(async () => {
  prometheus = await startPrometheus(value);
  serin = await startSerin({ made: prometheus.url, held: `${prometheus.url}/held` });
  browser = await startBrowser();
  made.config = await serin.store(config('Stored-Config', NAMES.map((name) => metric(name))));
  made.other = await serin.store(config('another', [metric('latency')]));
  made.run = await start(request());
  made.pass = await serin.start(`/canary/${made.other}?application=shop&metricsAccountName=made`, request({ scopes: ['prod', 'prod-2'] }));
  await Promise.all([made.run, made.pass].map(serin.run));
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

const inTab = testsIn(() => ({ browser, serin }));
const start = (body, account = 'made') => serin.start(`/canary/${made.config}?application=checkout&metricsAccountName=${account}`, body);
const row = (page, id) => page.locator('tr', { has: page.locator(`a.badge[href$="${id}"]`) });

describe('in the list', () => {
  inTab('a run is found by parts, in any case, and opened anywhere on its row', {}, async ({ page, open }) => {
    for (const [find, found] of [['d-CONF', true], ['CANARY', true], [made.run.slice(5, 20).toLowerCase(), true], ['prod-2', false], ['nobody', false]]) {
      await open('/ui/');
      await page.getByLabel('Find').fill(find);
      await page.getByLabel('Find').press('Enter');
      await page.waitForURL(/find=/);
      assert.equal(await row(page, made.run).count(), Number(found), find);
    }
    await isAccessible(page);
    await open('/ui/?find=canary');
    const line = row(page, made.run);
    assert.match(await line.locator('.judged').textContent(), /2024-06-01 01:00 – 02:00/);
    assert.match(await line.locator('.when').textContent(), /^\d+ (s|min) ago$/);
    assert.match(await line.locator('.when time').getAttribute('title'), / UTC\n/);
    await line.locator('.noted').click({ force: true });
    await page.locator('#outcome').waitFor();
    assert.equal(new URL(page.url()).pathname, `/ui/runs/${made.run}`);
  });

  inTab('no short word is broken beside a long one', {}, async ({ page, open }) => {
    const long = 'a-scope-with-a-name-that-is-longer-than-its-column-by-far-and-then-some';
    const id = await start(request({ scopes: ['prod', long] }));
    await serin.run(id);
    await open('/ui/');
    const isWhole = (cell) => cell.evaluate((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return range.getClientRects().length === 1;
    });
    assert(await isWhole(row(page, id).locator('.application')));
    assert(await isWhole(page.locator('th', { hasText: 'Application' })));
    await isAccessible(page);
  });

  inTab('times are told as one likes, and so on the next page', { timezoneId: 'Asia/Tokyo' }, async ({ page, open }) => {
    await open(`/ui/runs/${made.run}`);
    const when = page.locator('.sides .when').first();
    assert.match(await when.textContent(), /2024-06-01 01:00:00/);
    await page.getByRole('button', { name: 'Times: UTC' }).click();
    assert.match(await when.textContent(), /2024-06-01 10:00:00/);
    await open('/ui/');
    await page.getByRole('button', { name: 'Times: local' }).waitFor();
    assert.match(await row(page, made.run).locator('.judged').textContent(), /2024-06-01 10:00 – 11:00/);
    assert.match(await page.locator('th', { hasText: 'Judged' }).textContent(), /local/);
  });

  inTab('a telephone shows local times, and which they are', { timezoneId: 'Asia/Tokyo', viewport: TELEPHONE }, async ({ page, open }) => {
    await open('/ui/?find=canary');
    const line = row(page, made.run);
    assert.match(await line.locator('.judged').innerText(), /2024-06-01 01:00 – 02:00 UTC/);
    assert.match(await line.locator('.when').innerText(), /^\d+ (s|min) ago$/);
    await page.getByRole('button', { name: 'Times: UTC' }).click();
    assert.match(await line.locator('.judged').innerText(), /2024-06-01 10:00 – 11:00 local/);
    await open(`/ui/runs/${made.run}`);
    assert.match(await page.locator('.sides .when').first().innerText(), /2024-06-01 10:00:00/);
    const [name, runs, zone] = await Promise.all(['.brand', '.top nav a', '.zone'].map((place) => page.locator(place).first().boundingBox()));
    // One line for the pages, and one below it.
    assert(Math.abs(name.y - runs.y) < 12 && runs.y + runs.height <= zone.y + 1, JSON.stringify([name, runs, zone]));
    await isAccessible(page);
  });

  inTab('without scripts, times are absolute and rows open as well', { javaScriptEnabled: false }, async ({ page, open }) => {
    await open('/ui/?find=canary');
    assert.match(await row(page, made.run).locator('.when').textContent(), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    await row(page, made.run).locator('.noted').click({ force: true });
    assert.equal(new URL(page.url()).pathname, `/ui/runs/${made.run}`);
  });

  inTab('a config shows what it is like, and is found', {}, async ({ page, open }) => {
    await open('/ui/configs');
    const line = page.locator('tr', { has: page.getByRole('link', { name: 'Stored-Config', exact: true }) });
    assert.equal(await line.locator('.number').textContent(), '7');
    assert.match(await line.textContent(), /(Marginal|Pass) of Stored-Config/);
    await isAccessible(page);
    await page.getByLabel('Find').fill('ANOT');
    await page.getByLabel('Find').press('Enter');
    await page.waitForURL(/find=/);
    assert.equal(await line.count(), 0);
    await page.getByRole('link', { name: 'another', exact: true }).waitFor();
  });
});

describe('the metrics of a run', () => {
  inTab('are narrowed, and a link leads to an opened one', {}, async ({ page, open }) => {
    await open(`/ui/runs/${made.run}`);
    const shown = () => page.locator('.metric:visible').count();
    assert.equal(await shown(), 7);
    const passed = await page.locator('.metric.pass').first().boundingBox();
    assert(passed.height < 34, `${passed.height} px are more than a line`);
    await page.getByLabel('Show metrics with').fill('T');
    assert.equal(await shown(), 3);
    assert.equal(await page.locator('#narrowed').textContent(), '3 of 7');
    await page.getByLabel('Show metrics with').fill('');
    await page.getByLabel('without what passed').check();
    assert.equal(await shown(), 1);
    await isAccessible(page);

    await page.locator('.metric:visible > summary').click();
    await page.locator('.metric canvas').waitFor();
    const link = page.url();
    assert.match(link, /#metric-1$/);
    await open('/ui/');
    await page.goto(link);
    await page.locator('.metric[data-name=errors] canvas').waitFor();
  });
});

describe('a run', () => {
  inTab('is pinned, unpinned and deleted, which is asked before', {}, async ({ page, open }) => {
    const id = await start(request());
    await serin.run(id);
    await open(`/ui/runs/${id}`);
    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByText('pinned', { exact: true }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Delete …' }).count(), 0);
    await isAccessible(page);
    await page.getByRole('button', { name: 'Unpin' }).click();
    await page.getByRole('link', { name: 'Delete …' }).click();
    await page.getByRole('heading', { name: 'Delete this run?' }).waitFor();
    await isAccessible(page);
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.getByRole('heading', { name: 'Runs' }).waitFor();
    assert.equal(await row(page, id).count(), 0);
  });

  inTab('is canceled while it runs', {}, async ({ page, open }) => {
    const id = await start(request(), 'held');
    await open(`/ui/runs/${id}`);
    await page.locator('[data-since]', { hasText: 'for' }).waitFor();
    await isAccessible(page);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#outcome', { hasText: 'Canceled' }).waitFor();
    assert.equal((await serin.run(id)).outcome, 'canceled');
  });

  inTab('is run again from a form that is filled in', {}, async ({ page, open }) => {
    await open(`/ui/runs/${made.run}`);
    await page.getByRole('link', { name: 'Run again, changed' }).click();
    for (const [label, filled] of [['Control, scope', 'prod'], ['Experiment, scope', 'canary'], ['Control, start, UTC', '2024-06-01T01:00:00Z'], ['pass from a score of', '95']]) {
      assert.equal(await page.getByLabel(label, { exact: true }).first().inputValue(), filled, label);
    }
    await page.getByLabel('Experiment, scope').fill('prod-2');
    await page.getByRole('button', { name: 'Start the run' }).click();
    await page.locator('#outcome', { hasText: 'Pass' }).waitFor();
    assert.notEqual(new URL(page.url()).pathname, `/ui/runs/${made.run}`);
  });
});

describe('from a stored config', () => {
  inTab('the control is compared with itself at one click', {}, async ({ page, open }) => {
    await open(`/ui/configs/${made.config}/try`);
    await page.getByLabel('Control, scope').fill('prod');
    await page.getByLabel('Metrics account').selectOption('made');
    await page.getByRole('button', { name: 'Control against itself' }).click();
    await page.locator('#outcome', { hasText: /Pass|Fail|Marginal|Inconclusive/ }).waitFor();
    const sides = await page.locator('.sides strong').allTextContents();
    assert.deepEqual(sides, ['prod', 'prod']);
  });

  // The clocks are set forward at 16:00 UTC, and back half a year before.
  for (const [when, now, start, end] of [
    ['forward', '2024-10-05T16:30:00Z', '2024-10-06T01:30:00+10:00', '2024-10-06T03:30:00+11:00'],
    ['back', '2024-04-06T16:30:00Z', '2024-04-07T02:30:00+11:00', '2024-04-07T02:30:00+10:00'],
  ]) {
    inTab(`local times are judged as they are seen, where clocks are set ${when}`, { timezoneId: 'Australia/Sydney' }, async ({ page, open }) => {
      await page.clock.setFixedTime(now);
      await open(`/ui/configs/${made.config}/try`);
      await page.getByRole('button', { name: 'Times: UTC' }).click();
      await page.getByRole('button', { name: 'the last hour' }).click();
      for (const [label, filled] of [['Experiment, start, UTC', start], ['Experiment, end, UTC', end]]) {
        assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), filled, label);
      }
      await page.getByLabel('Control, scope').fill('prod');
      await page.getByLabel('Experiment, scope').fill('prod-2');
      await page.getByLabel('Metrics account').selectOption('made');
      await page.getByRole('button', { name: 'Start the run' }).click();
      await page.locator('#outcome', { hasText: /Pass|Fail|Marginal|Inconclusive/ }).waitFor();
      const seen = [start, end].map((time) => time.slice(0, 19).replace('T', ' ')).join(' to ');
      assert.match(await page.locator('.sides .when').last().textContent(), new RegExp(seen));
      const run = await serin.run(new URL(page.url()).pathname.split('/').pop());
      const { experimentScope } = run.canaryExecutionRequest.scopes.default;
      assert.deepEqual([experimentScope.start, experimentScope.end].map((time) => Date.parse(time)), [start, end].map((time) => Date.parse(time)));
      assert.equal(Date.parse(experimentScope.end), Date.parse(now));
    });
  }

  inTab('an analysis is begun from now on, tells what comes, and is canceled', {}, async ({ page, open }) => {
    await open(`/ui/configs/${made.config}/try`);
    await page.getByLabel('from now on').check();
    assert.equal(await page.getByLabel('Control, start, UTC').isVisible(), false);
    await isAccessible(page);
    await page.getByLabel('Control, scope').fill('prod');
    await page.getByLabel('Experiment, scope').fill('canary');
    await page.getByLabel('Metrics account').selectOption('made');
    await page.getByLabel('Minutes that it lasts').fill('30');
    await page.getByLabel('Minutes between judgements').fill('10');
    await page.getByRole('button', { name: 'Start the run' }).click();
    await page.getByText('Next judgement at').waitFor();
    assert.match(await page.locator('[data-near]').first().textContent(), /\((in 9 min|in 10 min)\)/);
    assert.equal(await page.locator('.scores .now').count(), 1);
    assert.match(await page.locator('.to-come').textContent(), /3 more to come/);
    await isAccessible(page);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#outcome', { hasText: 'Canceled' }).waitFor();
    assert.match(await page.locator('.to-come').textContent(), /It ended early/);
  });

  inTab('without scripts as well', { javaScriptEnabled: false }, async ({ page, open }) => {
    await open(`/ui/configs/${made.config}/try`);
    await page.getByLabel('from now on').check();
    await page.getByLabel('Control, scope').fill('prod');
    await page.getByLabel('Experiment, scope').fill('canary');
    await page.getByLabel('Metrics account').selectOption('made');
    await page.getByRole('button', { name: 'Start the run' }).click();
    await page.getByText('Next judgement at').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#outcome', { hasText: 'Canceled' }).waitFor();
  });
});

describe('on a telephone', () => {
  inTab('lines of the list open', { viewport: TELEPHONE, hasTouch: true }, async ({ page, open }) => {
    await open('/ui/');
    await row(page, made.run).locator('.compared').tap({ force: true });
    await page.locator('#outcome').waitFor();
  });
});
