// Every page in every look; what one does with a keyboard, without scripts, and without a network.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DESK, TELEPHONE, editor, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { unopened } from './routes.mjs';
import { config, request, startSerin } from './serin.mjs';

// What each query of these tests looks like in either version; the experiment has a gap.
// Every hour is like the one before, so that no hour of the day is judged otherwise than another.
const LEVELS = {
  latency: { prod: 1, canary: 1 },
  errors: { prod: 1, canary: 4 },
  traffic: { prod: 4, canary: 1 },
  silent: {},
};
function value(query, time) {
  const [, name, version] = /(\w+)\{version="(\w+)"\}/.exec(query);
  const level = LEVELS[name][version];
  const isGap = version === 'canary' && time % 3600 >= 1200 && time % 3600 < 1500;
  return level === undefined || isGap ? null : level + noise(query, Math.floor(time / 60) % 60) / 5;
}
const metric = (name, policy = {}, group = 'all') => ({ name, query: `${name}{version="\${scope}"}`, group, policy });
const METRICS = [metric('latency'), metric('errors'), metric('traffic', { direction: 'either' }), metric('silent')];
const QUARTERS = { classifier: { groupWeights: { good: 80, bad: 20 } } };
const LONG = 'a_name_without_any_place_to_break_it_'.repeat(3);
const LONG_NAMES = config(LONG, [{ ...metric('errors', { critical: true }, LONG), name: LONG }], { applications: [LONG], classifier: { groupWeights: { [LONG]: 100 } } });
const RUNS = {
  pass: config('pass', [metric('latency')]),
  fail: config('fail', METRICS),
  critical: config('critical', [metric('latency'), metric('errors', { critical: true })]),
  marginal: config('marginal', [metric('latency', {}, 'good'), metric('errors', {}, 'bad')], QUARTERS),
  'half without data': config('half', [metric('latency'), metric('silent')]),
  'without any data': config('none', [metric('silent', { mustHaveData: true })]),
  'by sequential-v1': config('sequential', METRICS, { judge: { name: 'sequential-v1', judgeConfigurations: {} } }),
  'by two judges': config('beside', METRICS, { judge: { name: 'NetflixACAJudge-v1.0', judgeConfigurations: { shadow: 'sequential-v1' } } }),
  terminal: config('broken', [{ name: 'broken', query: 'sum(' }]),
};

let prometheus, serin, browser;
const runs = {};
const other = {};
before(async () => {
  prometheus = await startPrometheus(value);
  serin = await startSerin({
    made: prometheus.url,
    history: process.env.SERIN_TEST_PROMETHEUS_URL,
    held: `${prometheus.url}/held`,
  }, 'documents', { access: { rules: [{ who: { addresses: ['127.0.0.0/8'] }, may: ['admin'] }] } });
  browser = await startBrowser();
  for (const [name, canaryConfig] of Object.entries(RUNS)) {
    const account = name === 'terminal' ? 'history' : 'made';
    runs[name] = await serin.start(`/canary?application=checkout&metricsAccountName=${account}`, { canaryConfig, executionRequest: request() });
  }
  runs['long names'] = await serin.start(`/canary?application=${LONG}&metricsAccountName=made`, { canaryConfig: LONG_NAMES, executionRequest: request() });
  other.config = await serin.store(config('stored', METRICS));
  runs['by a stored config'] = await serin.start(`/canary/${other.config}?application=checkout&metricsAccountName=made`, request());
  other.long = await serin.store(LONG_NAMES);
  const analysis = (scopes, canaryConfig = RUNS.fail) => serin.startAnalysis('?application=checkout&metricsAccountName=made', {
    canaryConfig,
    executionRequest: {
      scopes: [{ controlScope: scopes[0], experimentScope: scopes[1], step: 60, startTimeIso: '2024-06-01T01:00:00Z', endTimeIso: '2024-06-01T02:00:00Z' }],
      thresholds: { pass: 95, marginal: 50 },
      analysisIntervalMins: 20,
    },
  });
  other.failing = await analysis(['prod', 'canary']);
  other.passing = await analysis(['prod', 'prod']);
  other.closing = await analysis(['prod', 'prod'], RUNS['by sequential-v1']);
  await Promise.all([...Object.values(runs).map(serin.run), serin.analysis(other.failing), serin.analysis(other.passing), serin.analysis(other.closing)]);
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

async function startHeld(name) {
  const canaryConfig = config(name, [metric('latency')]);
  return serin.start('/canary?application=checkout&metricsAccountName=held', { canaryConfig, executionRequest: request() });
}

const inTab = testsIn(() => ({ browser, serin }));

const openFirst = async (page) => {
  await page.locator('.metric > summary').first().click();
  await page.locator('.metric canvas').waitFor();
};

const anotherJudge = async (page) => {
  await page.getByLabel('The judge were').selectOption('sequential-v1');
  await page.getByRole('button', { name: 'Judge them once more' }).click();
  await page.getByRole('heading', { name: 'What came of it' }).waitFor();
};

describe('in every look, and with nothing from elsewhere,', () => {
  const PAGES = [
    ['the runs', () => '/ui/'],
    ['the runs of a filter', () => '/ui/?application=checkout&verdict=fail&config=fail&since=2024-01-01T00:00'],
    ['no runs', () => '/ui/?application=nobody'],
    ['a filter that is none', () => '/ui/?since=yesterday'],
    ...Object.keys(RUNS).map((name) => [`a run: ${name}`, () => `/ui/runs/${runs[name]}`, name === 'fail' ? openFirst : undefined]),
    ['a run beside another one', () => `/ui/runs/${runs.fail}/compare?with=${runs.pass}`],
    ['a run beside itself', () => `/ui/runs/${runs.fail}/compare?with=${runs.fail}`, async (page) => page.getByText('in both').last().click()],
    ['a run with nothing beside it', () => `/ui/runs/${runs.terminal}/compare`],
    ['runs with long names beside each other', () => `/ui/runs/${runs['long names']}/compare?with=${runs['long names']}`],
    ['a run that runs', async () => `/ui/runs/${await startHeld('held')}`],
    ['a trial like a run', () => `/ui/runs/${runs.fail}/like`],
    ['the question before the deletion of a run', () => `/ui/runs/${runs.fail}/delete`],
    ['the question before the deletion of an analysis', () => `/ui/analyses/${other.failing}/delete`],
    ['a report', () => `/ui/runs/${runs.fail}/report.html`, openFirst],
    ['the analyses', () => '/ui/analyses'],
    ['an analysis that failed', () => `/ui/analyses/${other.failing}`],
    ['an analysis that passed', () => `/ui/analyses/${other.passing}`],
    ['an analysis by sequential-v1', () => `/ui/analyses/${other.closing}`, async (page) => page.locator('.closing svg').first().waitFor()],
    ['what if', () => `/ui/replay?runs=${runs.fail}`],
    ['what if it were another judge', () => '/ui/replay?application=checkout', anotherJudge],
    ['what would be taken over', () => `/ui/replay?runs=${runs['by a stored config']}`, async (page) => {
      await anotherJudge(page);
      await page.getByRole('button', { name: 'Take it over into stored' }).click();
      await page.locator('ins', { hasText: 'sequential-v1' }).waitFor();
    }],
    ['the configs', () => '/ui/configs'],
    ['a config', () => `/ui/configs/${other.config}`],
    ['the metrics of a config', () => `/ui/configs/${other.config}/metrics`],
    ['the editor', () => `/ui/configs/${other.config}/edit`],
    ['a new config', () => '/ui/configs/new'],
    ['the copy of a config', () => `/ui/configs/${other.config}/copy`],
    ['the question before a deletion', () => `/ui/configs/${other.config}/delete`],
    ['a trial', () => `/ui/configs/${other.config}/try`],
    ['the question how often a config cries wolf', () => `/ui/configs/${other.config}/calibrate`],
    ['the calibrations', () => '/ui/calibrations'],
    ['the accounts', () => '/ui/accounts'],
    ['the record', () => '/ui/audit'],
    ['the record of a filter that is none', () => '/ui/audit?since=yesterday'],
    ['a deed', () => '/ui/audit', async (page) => {
      await page.locator('td.when a').first().click();
      await page.getByRole('link', { name: /^All of/ }).waitFor();
    }],
    ['a run with long names', () => `/ui/runs/${runs['long names']}`, openFirst],
    ...['', '/edit', '/try', '/delete', '/metrics'].map((page) => [`a config with long names: ${page}`, () => `/ui/configs/${other.long}${page}`]),
  ];
  const opened = new Set();
  for (const [name, address, then] of PAGES) {
    inTab(name, {}, async ({ page, open }) => {
      assert.equal((await open(await address())).status(), 200);
      opened.add(page.url());
      await then?.(page);
      opened.add(page.url());
      await isAccessible(page);
    });
  }
  test('all pages that there are have been opened', () => assert.deepEqual(unopened(opened), []));
  for (const path of ['/ui/runs/none', '/ui/analyses/none', '/ui/configs/none', '/ui/nowhere']) {
    inTab(`no page: ${path}`, { mayTell: /status of 404/ }, async ({ page, open }) => {
      assert.equal((await open(path)).status(), 404);
      await isAccessible(page);
    });
  }
});

describe('what if', () => {
  inTab('of a config is asked with a margin, and told run by run', {}, async ({ page, open }) => {
    await open(`/ui/configs/${other.config}`);
    await page.getByRole('link', { name: 'What if' }).click();
    await isAccessible(page);
    await anotherJudge(page);
    assert.match(await page.locator('main').textContent(), /sequential-v1/);
    await page.getByRole('link', { name: runs['by a stored config'] }).first().waitFor();
    await isAccessible(page);
  });
});

describe('a run', () => {
  inTab('is seen live to its verdict, on its page and in the list', {}, async ({ page, context, open }) => {
    const id = await startHeld('live');
    await open(`/ui/runs/${id}`);
    await page.locator('#outcome', { hasText: 'Running' }).waitFor();
    const list = await context.newPage();
    await list.goto(`${serin.url}/ui/`);
    const line = list.locator(`a.badge[href$="${id}"]`);
    assert.match(await line.textContent(), /^Running/);
    for (const one of [page, list]) await one.evaluate(() => { window.isTheSamePage = true; });
    await page.bringToFront();
    // Somebody who is about to follow a link sees the verdict too.
    await page.getByRole('link', { name: 'JSON of the API' }).focus();

    prometheus.release();
    await page.locator('#outcome', { hasText: 'Pass' }).waitFor();
    assert.equal(await page.locator('.verdict .score strong').textContent(), '100');
    assert.equal(await page.title(), `Pass · checkout · ${id} · serin`);
    await list.bringToFront();
    await list.locator(`a.badge.pass[href$="${id}"]`).waitFor();
    for (const one of [page, list]) assert(await one.evaluate(() => window.isTheSamePage));

    await page.bringToFront();
    await openFirst(page);
  });

  inTab('is read with the keyboard', {}, async ({ page, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('j');
    const at = () => page.evaluate(() => document.activeElement.closest('.metric')?.dataset.name);
    assert.equal(await at(), 'errors');
    await page.keyboard.press('Enter');
    await page.locator('.metric[data-name=errors] canvas').waitFor();
    await page.keyboard.press('j');
    assert.equal(await at(), 'traffic');
    await page.keyboard.press('Space');
    await page.locator('.metric[data-name=traffic] canvas').waitFor();
    await page.keyboard.press('Space');
    assert.equal(await page.locator('.metric[open]').count(), 1);
    await page.keyboard.press('k');
    assert.equal(await at(), 'errors');

    const table = page.locator('.metric[data-name=errors] [data-table]');
    await table.locator('summary').focus();
    await page.keyboard.press('Enter');
    await table.locator('tbody tr').first().waitFor();
    assert.equal(await table.locator('tbody tr').count(), 61);
    assert.match(await table.locator('tbody tr').nth(22).textContent(), /\d–$/);
  });

  inTab('shows the gaps of its series', {}, async ({ page, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    await openFirst(page);
    const [share, colour] = await page.locator('.metric canvas').evaluate((canvas) => {
      const colour = getComputedStyle(document.documentElement).getPropertyValue('--experiment').trim();
      const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
      const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const isDrawn = (x) => Array.from({ length: height }, (_, y) => 4 * (y * width + x))
        .some((at) => wanted.every((part, of) => Math.abs(data[at + of] - part) < 24) && data[at + 3] > 128);
      const drawn = Array.from({ length: width }, (_, x) => x).filter(isDrawn);
      const widest = Math.max(...drawn.slice(1).map((x, at) => x - drawn[at]));
      return [widest / (drawn.at(-1) - drawn[0]), colour];
    });
    // No point from minute 20 to 24: the line stops at 19 and goes on at 25.
    assert(Math.abs(share - 6 / 60) < 0.02, `${share} of the width has nothing in ${colour}`);
  });

  inTab('gives its raw data', {}, async ({ page, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    await page.locator('.metric > summary').first().click();
    for (const [name, beginning] of [['CSV', 'side,time,epoch_millis,value'], ['JSON', '{']]) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.locator('.metric[open]').getByRole('link', { name, exact: true }).first().click(),
      ]);
      assert(fs.readFileSync(await download.path(), 'utf8').startsWith(beginning));
    }
  });

  inTab('is read without scripts', { javaScriptEnabled: false }, async ({ page, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    const errors = page.locator('.metric[data-name=errors]');
    await errors.locator('summary').first().click();
    assert.match(await errors.locator('.sentence').innerText(), /surely more than noise/);
    const drawn = await errors.locator('svg.still').boundingBox();
    assert(drawn.width > 300 && drawn.height > 100, JSON.stringify(drawn));
    assert.equal(await errors.locator('.query pre').count(), 2);
    assert.equal(await page.locator('canvas').count(), 0);
  });

  inTab('is opened from disk with the network off', { acceptDownloads: true }, async ({ page, context, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Report as one file' }).click()]);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'serin-report-'));
    const file = path.join(folder, 'report.html');
    await download.saveAs(file);
    await context.setOffline(true);
    await page.goto(`file://${file}`);
    assert.equal(await page.locator('#outcome').textContent(), 'Fail');
    for (const name of ['errors', 'traffic']) {
      const one = page.locator(`.metric[data-name=${name}]`);
      await one.locator('summary').first().click();
      await one.locator('canvas').waitFor();
      await one.locator('[data-table] summary').click();
      assert.equal(await one.locator('tbody tr').nth(1).isVisible(), true);
    }
    await isAccessible(page);
    fs.rmSync(folder, { recursive: true });
  });

  inTab('is judged again, and accepted by hand', {}, async ({ page, context, open }) => {
    const id = await serin.start('/canary?application=checkout&metricsAccountName=made', {
      canaryConfig: RUNS['half without data'],
      executionRequest: request({ start: Date.now() - 2 * 3_600_000 }),
    });
    assert.equal((await serin.run(id)).outcome, 'inconclusive');
    await open(`/ui/runs/${id}`);
    await page.getByRole('button', { name: 'Judge again' }).click();
    await page.getByText(`It judges ${id} again`).waitFor();
    const next = new URL(page.url()).pathname.split('/').pop();
    assert.equal((await serin.run(next)).repeats, id);
    await page.getByRole('link', { name: id }).click();
    await page.getByRole('link', { name: next }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Judge again' }).count(), 0);

    await page.getByText('Accept by hand', { exact: true }).click();
    await isAccessible(page);
    // Without a reason the form is not sent.
    await page.getByRole('button', { name: 'Accept' }).click();
    assert.equal(new URL(page.url()).pathname, `/ui/runs/${id}`);
    await page.getByLabel('Why').fill('the scraper was restarted\nand jk are letters');
    await page.getByLabel('Your name').fill('ana');
    await page.getByRole('button', { name: 'Accept' }).click();
    await page.getByText('Accepted by hand by ana').waitFor();
    assert.equal(await page.locator('#outcome').textContent(), 'Inconclusive');
    assert.equal(await page.locator('.by-hand form').count(), 0);
    await isAccessible(page);
    const { acceptedByHand, outcome } = await serin.run(id);
    assert.deepEqual([acceptedByHand.reason, outcome], ['the scraper was restarted\nand jk are letters', 'inconclusive']);

    const list = await context.newPage();
    await list.goto(`${serin.url}/ui/`);
    const line = list.locator('tr', { has: list.locator(`a.badge[href$="${id}"]`) });
    assert.deepEqual(await line.locator('.flag').allTextContents(), ['accepted by hand', 'judged again']);
    await isAccessible(list);
  });

  inTab('follows the size and the colours of its reader', {}, async ({ page, open }) => {
    await open(`/ui/runs/${runs.fail}`);
    await openFirst(page);
    const width = async () => (await page.locator('.metric canvas').boundingBox()).width;
    const wide = await width();
    await page.setViewportSize(TELEPHONE);
    await page.waitForFunction((wide) => document.querySelector('.metric canvas').getBoundingClientRect().width < wide, wide);
    await page.setViewportSize(DESK);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.locator('.metric canvas').waitFor();
  });
});

describe('a config', () => {
  const finding = (page, text) => page.locator('#findings li', { hasText: text });

  inTab('that is bad is refused with the message at its field', { mayTell: /status of 4\d\d/ }, async ({ page, open }) => {
    await open('/ui/configs/new');
    const text = JSON.parse(await editor(page).text());
    text.name = 'refused';
    text.classifier.groupWeights.all = 'much';
    const bad = JSON.stringify(text, null, 2);
    await editor(page).write(bad);
    await page.locator('#verdict.is-error').waitFor();
    assert.equal(await editor(page).box.getAttribute('aria-invalid'), 'true');
    const line = 1 + bad.split('\n').findIndex((one) => one.includes('"much"'));
    const weight = finding(page, 'groupWeights');
    assert.match(await weight.textContent(), new RegExp(`^line ${line}\\b.*classifier\\.groupWeights`));
    assert.match(await page.locator('.cm-lintRange-error').textContent(), /"much"/);
    await isAccessible(page);
    await weight.getByRole('link').click();
    assert.equal(await page.locator('.cm-activeLineGutter', { hasText: /\d/ }).textContent(), String(line));

    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().isNavigationRequest()),
      page.getByRole('button', { name: 'Store' }).click(),
    ]);
    assert.equal(answer.status(), 422);
    assert.match(await page.locator('#verdict').textContent(), /cannot be stored/);
    assert.match(await weight.textContent(), /'much' is not a number/);
    assert.equal(await editor(page).text(), bad);
    assert.deepEqual((await serin.call('GET', '/canaryConfig')).filter(({ name }) => name === 'refused'), []);

    text.classifier.groupWeights.all = 100;
    await editor(page).write(JSON.stringify(text, null, 2));
    await page.locator('#verdict.is-fine').waitFor();
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByRole('heading', { name: 'refused', level: 1 }).waitFor();
  });

  inTab('is written with the keyboard, and left with it', {}, async ({ page, open }) => {
    await open(`/ui/configs/${other.config}/edit`);
    const isInside = () => page.evaluate(() => document.activeElement.matches('.cm-content'));
    await editor(page).box.focus();
    await page.keyboard.press('Control+Home');
    await page.keyboard.press('Tab');
    assert(await isInside());
    assert.match(await editor(page).text(), /^ {2}\{/);
    await page.keyboard.press('Control+z');
    assert.match(await editor(page).text(), /^\{/);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Tab');
    assert.equal(await isInside(), false);
    await page.keyboard.press('Shift+Tab');
    assert(await isInside());
    await page.keyboard.press('Shift+Tab');
    assert.equal(await isInside(), false);
  });

  inTab('gets the members that its kind of query has', {}, async ({ page, open }) => {
    await open('/ui/configs/new');
    const kind = (name) => page.locator(`.kind[data-kind="${name}"]`);
    const isOpen = (name) => kind(name).evaluate((details) => details.open);
    assert.equal(await isOpen('prometheus'), true);
    await editor(page).write('{"metrics": [{"query": {\n  "type": "signalfx"\n}}]}');
    await page.locator('.kind[data-kind="signalfx"][open]').waitFor();
    assert.equal(await isOpen('prometheus'), false);
    await isAccessible(page);
    for (const member of ['metricName', 'queryPairs']) {
      await kind('signalfx').getByRole('button', { name: `Insert ${member}`, exact: true }).click();
      await page.keyboard.type('a');
    }
    assert.deepEqual(JSON.parse(await editor(page).text()).metrics[0].query, {
      type: 'signalfx', queryPairs: [{ key: 'a', value: '' }], metricName: 'a',
    });
    await page.keyboard.press('Control+z');
    await page.keyboard.press('Control+z');
    assert.doesNotMatch(await editor(page).text(), /queryPairs/);
  });

  inTab('is copied, tried and deleted', {}, async ({ page, open }) => {
    await open(`/ui/configs/${other.config}`);
    await page.getByRole('link', { name: 'Copy' }).click();
    const text = JSON.parse(await editor(page).text());
    await editor(page).write(JSON.stringify({ ...text, name: 'copied' }));
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByRole('heading', { name: 'copied', level: 1 }).waitFor();

    await page.getByRole('link', { name: 'Try it' }).click();
    for (const [side, scope] of [['Control', 'prod'], ['Experiment', 'canary']]) {
      await page.getByLabel(`${side}, scope`).fill(scope);
      await page.getByLabel(`${side}, start, UTC`).fill('2024-06-01T01:00:00Z');
      await page.getByLabel(`${side}, end, UTC`).fill('2024-06-01T02:00:00Z');
    }
    await page.getByLabel('Metrics account').selectOption('made');
    await page.getByRole('button', { name: 'Start the run' }).click();
    await page.locator('#outcome', { hasText: 'Fail' }).waitFor();

    await page.getByRole('link', { name: 'copied' }).click();
    await page.getByRole('link', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.getByRole('heading', { name: 'Canary configs' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'copied', exact: true }).count(), 0);
  });
});
