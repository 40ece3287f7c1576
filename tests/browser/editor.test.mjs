// A canary config written by its form and as a text, which are the same document.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { editor, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, startSerin } from './serin.mjs';

const NAMES = ['http_request_duration_seconds_bucket', 'http_requests_total', 'up'];

let prometheus, serin, browser, id;
before(async () => {
  prometheus = await startPrometheus((query, time) => (query.includes('canary') ? 5 : 1) + noise(query, time) / 5);
  serin = await startSerin({ made: prometheus.url });
  browser = await startBrowser();
  const metric = (name, policy = {}) => ({ name, query: `sum(${name}{version="\${scope}"})`, policy });
  const stored = config('edited', [metric('latency'), metric('errors', { critical: true, unknown: [1] }), metric('traffic')]);
  id = await serin.store({ ...stored, unknown: { b: 1, a: '2' } });
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

const inTab = testsIn(() => ({ browser, serin }));
const written = async (page) => JSON.parse(await editor(page).text());
const metricForm = (page, index) => page.locator('.metric-form').nth(index);
const opened = async (page, index) => {
  const form = metricForm(page, index);
  await form.locator('summary').first().click();
  await form.getByLabel('Scope name').waitFor();
  return form;
};

describe('the form', () => {
  inTab('changes what it shows, and leaves the rest as it is', {}, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit`);
    const before = await written(page);
    const form = page.locator('#form');
    await form.getByLabel('Name', { exact: true }).fill('renamed');
    await form.getByLabel('Beside it').selectOption('sequential-v1');
    await form.getByLabel('Margin', { exact: true }).fill('0.02');
    await page.getByLabel('Weight of all').fill('60');
    assert.match(await page.locator('.weights output').textContent(), /60: 100 is wanted/);
    const first = await opened(page, 0);
    await first.getByLabel('Groups').fill('all, more');
    await page.getByLabel('Weight of more').fill('40');
    assert.equal(await page.locator('.weights output').textContent(), '100');
    await first.getByLabel('Bad is').selectOption('either');
    await first.getByLabel('Margin up').fill('1.2');
    await first.getByLabel('Margin down').fill('0.8');
    await first.getByLabel('Margin down').fill('');
    await first.getByLabel('Values that are NaN').selectOption('replace');
    await first.getByLabel('Outliers are').selectOption('remove');
    await first.getByLabel('Critical:').check();
    await first.getByLabel('PromQL of latency').focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type(' * 2');
    const expected = structuredClone(before);
    expected.name = 'renamed';
    expected.judge.judgeConfigurations = { shadow: 'sequential-v1', margin: 0.02 };
    expected.classifier.groupWeights = { all: 60, more: 40 };
    Object.assign(expected.metrics[0], { groups: ['all', 'more'] });
    expected.metrics[0].query.customInlineTemplate += ' * 2';
    expected.metrics[0].analysisConfigurations.canary = {
      direction: 'either', effectSize: { allowedIncrease: 1.2 }, nanStrategy: 'replace', outliers: { strategy: 'remove' }, critical: true,
    };
    const after = await written(page);
    assert.deepEqual(after, expected);
    assert.deepEqual(Object.keys(after), Object.keys(before));
    await isAccessible(page);
    await page.getByRole('button', { name: 'What would change' }).click();
    await page.locator('ins', { hasText: '"margin": 0.02' }).waitFor();
    await isAccessible(page);
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByRole('heading', { name: 'renamed', level: 1 }).waitFor();
    assert.deepEqual((await serin.call('GET', `/canaryConfig/${id}`)).unknown, before.unknown);
  });

  inTab('opens the metric that a link names', {}, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit#metric=errors`);
    await page.locator('.metric-form[open]').waitFor();
    assert.equal(await page.locator('.metric-form[open]').count(), 1);
    assert.match(await page.locator('.metric-form[open] > summary').innerText(), /errors/);
    assert.match(await page.evaluate(() => document.activeElement.textContent), /errors/);
    const at = await page.locator('.writing .cm-activeLine').first().innerText();
    assert.match(at, /\{/);
    // What is behind the # alone loads no page.
    await open('/ui/configs');
    await open(`/ui/configs/${id}/edit#metric=nosuch`);
    await page.locator('#form input').first().waitFor();
    assert.equal(await page.locator('.metric-form[open]').count(), 0);
  });

  inTab('moves, copies, removes and adds metrics', {}, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit`);
    const names = async () => (await written(page)).metrics.map(({ name }) => name);
    const errors = (await written(page)).metrics[1];
    await (await opened(page, 1)).getByRole('button', { name: 'Move up' }).click();
    assert.deepEqual(await names(), ['errors', 'latency', 'traffic']);
    assert.deepEqual((await written(page)).metrics[0], errors);
    assert.match(await page.evaluate(() => document.activeElement.textContent), /errors/);
    await metricForm(page, 0).getByRole('button', { name: 'Copy' }).click();
    assert.deepEqual(await names(), ['errors', 'errors copy', 'latency', 'traffic']);
    await metricForm(page, 0).getByRole('button', { name: 'Remove' }).click();
    assert.deepEqual(await names(), ['errors copy', 'latency', 'traffic']);
    await page.getByRole('button', { name: 'Undo' }).click();
    assert.deepEqual(await names(), ['errors', 'errors copy', 'latency', 'traffic']);

    await page.getByText('Add a metric').click();
    await page.getByLabel('Begins as').selectOption('istio/latency');
    await page.getByRole('button', { name: 'Add it' }).click();
    const added = (await written(page)).metrics.at(-1);
    assert.match(added.query.customInlineTemplate, /istio_request_duration/);
    await isAccessible(page);
  });

  inTab('waits while the text cannot be read, and turns YAML into JSON', {}, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit`);
    const before = await written(page);
    await page.getByRole('button', { name: 'Turn it into YAML' }).click();
    await page.getByText('The form changes JSON').waitFor();
    assert.match(await editor(page).text(), /^name: /);
    await isAccessible(page);
    await page.getByRole('button', { name: 'Turn it into JSON' }).click();
    await page.getByLabel('Weight of all').waitFor();
    assert.deepEqual(await written(page), before);
    await editor(page).write('{"name": ');
    await page.getByText('The text cannot be read').waitFor();
    assert.equal(await page.getByLabel('Weight of all').isVisible(), false);
  });
});

describe('a query', () => {
  inTab('is completed from the names that there are', {}, async ({ page, context, open }) => {
    await context.route('**/metadata/metricsService?*', (route) => route.fulfill({ json: NAMES.map((name) => ({ name })) }));
    await open(`/ui/configs/${id}/edit`);
    const field = (await opened(page, 0)).getByRole('textbox', { name: /^PromQL of/ });
    await field.focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.type('sum(rate(http_req');
    await page.getByRole('option', { name: 'http_requests_total' }).waitFor();
    await isAccessible(page);
    await field.focus();
    await page.keyboard.type('uests_t');
    await page.getByRole('option', { name: 'http_requests_total' }).click();
    assert.match(await editor(page).text(), /"PromQL:sum\(rate\(http_requests_total\)\)"/);
  });

  inTab('shows both sides with their judgement, or why it cannot', { mayTell: /status of 4\d\d/ }, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit`);
    const form = await opened(page, 0);
    const show = form.getByRole('button', { name: 'Show its series now' });
    await show.click();
    await form.getByText('Say which scopes are compared').waitFor();
    await page.getByLabel('Control, scope').fill('prod');
    await page.getByLabel('Experiment, scope').fill('canary');
    await show.click();
    await form.locator('figure img').waitFor();
    assert.match(await form.locator('figcaption').textContent(), /^High /);
    assert(await form.locator('figure img').evaluate((image) => image.naturalWidth) > 0);
    await isAccessible(page);
    await form.getByRole('textbox', { name: /^PromQL of/ }).focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.type('x{a="${nothing}",b="${scope}"}');
    await show.click();
    await form.locator('.previewed .problem').waitFor();
    assert.match(await form.locator('.previewed').textContent(), /nothing/);
  });

  inTab('that is broken is marked where it breaks', {}, async ({ page, open }) => {
    await open(`/ui/configs/${id}/edit`);
    const text = await written(page);
    text.metrics[0].query.customInlineTemplate = 'PromQL:sum(x{a="${scope}"}) sum(y)';
    await editor(page).write(JSON.stringify(text, null, 2));
    const mark = page.locator('.cm-lintRange').first();
    await mark.waitFor();
    assert.equal(await mark.textContent(), 'sum(y)"');
  });

  inTab('is tried before it is stored', {}, async ({ page, context, open }) => {
    await open('/ui/configs/new');
    const text = config('draft', [{ name: 'errors', query: 'sum(errors{version="${scope}"})' }]);
    await editor(page).write(JSON.stringify(text, null, 2));
    const [form] = await Promise.all([context.waitForEvent('page'), page.getByRole('button', { name: 'Try it' }).click()]);
    await form.getByRole('heading', { name: 'Try draft' }).waitFor();
    assert.equal(await form.getByLabel('Control, location').count(), 0);
    await form.getByRole('button', { name: 'the last 15 minutes' }).click();
    await isAccessible(form);
    await form.getByLabel('Control, scope').fill('prod');
    await form.getByLabel('Experiment, scope').fill('canary');
    await form.getByRole('button', { name: 'Start the run' }).click();
    await form.locator('#outcome', { hasText: 'Fail' }).waitFor();
    assert.deepEqual((await serin.call('GET', '/canaryConfig')).filter(({ name }) => name === 'draft'), []);
  });
});
