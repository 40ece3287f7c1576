// How often a config would cry wolf, from the question on its page to margins that it is judged with.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { editor, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, request, startSerin } from './serin.mjs';

let prometheus, serin, browser;
before(async () => {
  prometheus = await startPrometheus((query, time) => (query.includes('silent') ? null : 100 + 5 * noise(query, Math.floor(time / 60))));
  serin = await startSerin({ made: prometheus.url, held: `${prometheus.url}/held` });
  browser = await startBrowser();
});
after(async () => {
  prometheus.stop();
  await browser?.close();
  await serin?.stop();
});

const inTab = testsIn(() => ({ browser, serin }));
const metric = (name) => ({ name, query: `${name}{version="\${scope}"}` });

describe('a calibration', () => {
  const calm = (name) => config(name, [metric('latency')], { judge: { name: 'sequential-v1', judgeConfigurations: {} } });
  const fill = async (page, fields, account) => {
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value);
    await page.getByLabel('Metrics account').selectOption(account);
  };
  const PODS = { 'Control, the scope of pods': 'prod', 'Against other pods': 'canary', 'Windows, end to end': '12' };
  // The page comes again every two seconds, which axe does not wait for.
  const stands = (page) => page.route('**/ui/calibrations/*', async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch();
    const body = (await response.text()).replace(/<meta http-equiv="refresh"[^>]*>/, '');
    return route.fulfill({ response, body });
  });

  inTab('is started from its config, and seen to its report, which is kept and applied', { mayTell: /status of 422/ }, async ({ page, open }) => {
    const id = await serin.store(calm('calm'));
    await open(`/ui/configs/${id}`);
    await page.getByRole('link', { name: 'How often would this config cry wolf?' }).click();
    await isAccessible(page);
    await fill(page, { ...PODS, 'Judged every so many': 'x' }, 'made');
    const [refused] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      page.getByRole('button', { name: 'Start' }).click(),
    ]);
    assert.equal(refused.status(), 422);
    assert.match(await page.locator('#interval-problem').textContent(), /'x' is no whole number/);
    await isAccessible(page);
    await page.getByLabel('Judged every so many').fill('20');
    await page.getByLabel('Keep the margins under').fill('');
    await page.getByRole('button', { name: 'Start' }).click();
    // It comes again by itself.
    await page.getByRole('heading', { name: 'Releases that would have been stopped' }).waitFor();
    assert.equal(await page.locator('h1 .badge').textContent(), 'Done');
    assert.match(await page.locator('main').textContent(), /12 hours without a release/);
    assert.equal(await page.locator('table').nth(1).locator('tbody tr').count(), 1);
    await isAccessible(page);

    await page.getByLabel('Under this id').fill('calm-margins');
    await page.getByRole('button', { name: 'Keep them' }).click();
    await page.getByRole('heading', { name: 'Calibrations', level: 1 }).waitFor();
    await page.getByRole('link', { name: 'calm-margins' }).waitFor();
    await isAccessible(page);

    await open(`/ui/configs/${id}`);
    await page.getByText('names no calibration').waitFor();
    await open(`/ui/configs/${id}/edit`);
    const text = JSON.parse(await editor(page).text());
    text.judge.judgeConfigurations.calibration = 'calm-margins';
    await editor(page).write(JSON.stringify(text, null, 2));
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByRole('heading', { name: 'calm', level: 1 }).waitFor();
    assert.equal(await page.getByText('names no calibration').count(), 0);
    const run = await serin.start(`/canary/${id}?application=checkout&metricsAccountName=made`, request());
    await serin.run(run);
    await open(`/ui/runs/${run}`);
    await page.locator('.metric > summary').first().click();
    await page.getByText(/learned from 12 windows/).first().waitFor();
  });

  inTab('is canceled while it runs', {}, async ({ page, open }) => {
    await stands(page);
    const id = await serin.store(calm('held-calm'));
    await open(`/ui/configs/${id}/calibrate`);
    await fill(page, PODS, 'held');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.waitForURL('**/ui/calibrations/*');
    await page.goto(page.url());
    await page.getByRole('button', { name: 'Cancel it' }).waitFor();
    assert.match(await page.getByRole('status').textContent(), /0 of 2 series fetched, 0 of 12 windows judged/);
    await isAccessible(page);
    const address = page.url();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    // To load it anew while the form is on its way would be an error of the browser's.
    while (!(await (await page.request.get(address)).text()).includes('Canceled</span>'));
    await page.goto(address);
    assert.equal(await page.locator('h1 .badge').textContent(), 'Canceled');
    assert.equal(await page.getByRole('button', { name: 'Cancel it' }).count(), 0);
    await isAccessible(page);
  });

  inTab('that fails says why', {}, async ({ page, open }) => {
    const id = await serin.store(config('silent-calm', [metric('silent')]));
    await open(`/ui/configs/${id}/calibrate`);
    await fill(page, PODS, 'made');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').textContent(), /none of the 12 windows has data on both sides/);
    await isAccessible(page);
  });

  inTab('is made of a text that nobody has stored', {}, async ({ page, context, open }) => {
    await open('/ui/configs/new');
    await editor(page).write(JSON.stringify(calm('draft'), null, 2));
    const [form] = await Promise.all([
      context.waitForEvent('page'),
      page.getByRole('button', { name: 'How often would it cry wolf?' }).click(),
    ]);
    await form.getByRole('heading', { name: 'How often would draft cry wolf?' }).waitFor();
    await isAccessible(form);
    await fill(form, PODS, 'made');
    await form.getByRole('button', { name: 'Start' }).click();
    await form.getByRole('heading', { name: 'Releases that would have been stopped' }).waitFor();
    // What was written is still there, and not stored.
    assert.match(await editor(page).text(), /"draft"/);
    assert.deepEqual((await serin.call('GET', '/canaryConfig')).filter(({ name }) => name === 'draft'), []);
  });
});
