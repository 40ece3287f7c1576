// A new user's way, from an empty serin and the address of a Prometheus to a judged canary with a config of one's own.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { editor, isAccessible, startBrowser, testsIn } from './browser.mjs';
import { noise, startRealPrometheus } from './prometheus.mjs';
import { startEmptySerin } from './serin.mjs';

const MOST = { clicks: 10, fields: 3 };

// A service in two releases, of which the newer one fails more often, and what is beside it in any Prometheus.
const about = (level) => (time) => level * (0.8 + 0.4 * noise(String(level), Math.floor(time / 15)));
const COUNTERS = {
  checkout_errors: { 'job="checkout",release="r41"': about(0.5), 'job="checkout",release="r42"': about(2) },
  checkout_requests: { 'job="checkout",release="r41"': about(40), 'job="checkout",release="r42"': about(41) },
  prometheus_http_requests: { 'job="prometheus"': about(1) },
};

let prometheus, serin, browser;
before(async () => {
  prometheus = await startRealPrometheus(COUNTERS, 70);
  serin = await startEmptySerin(prometheus.url);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await serin?.stop();
  await prometheus?.stop();
});

const inTab = testsIn(() => ({ browser, serin }));

/// A person on a page: every click is counted, and every field that is typed in, to which a click leads as well.
function person(page) {
  const [clicks, fields] = [[], []];
  const click = async (what) => {
    await what.click();
    clicks.push(String(what));
  };
  return {
    clicks,
    fields,
    click,
    async type(field, text) {
      await click(field);
      await page.keyboard.press('Control+a');
      await page.keyboard.type(text);
      fields.push(text);
    },
  };
}

const link = (page, name) => page.getByRole('link', { name, exact: true });
const button = (page, name) => page.getByRole('button', { name, exact: true });
const form = (page) => page.locator('#form');
const metric = (page) => form(page).getByLabel('Metric', { exact: true });
const label = (page) => form(page).getByLabel('Label that tells versions apart');
const offered = (page, group, value) => page.getByRole('group', { name: group }).getByRole('button', { name: value, exact: true });
const verdict = (page) => page.locator('#outcome', { hasText: /Pass|Marginal|Fail|Inconclusive/ });

describe('somebody new', () => {
  inTab(`needs at most ${MOST.clicks} clicks and ${MOST.fields} typed fields to a verdict`, {}, async ({ page, open }) => {
    const { click, type, clicks, fields } = person(page);
    await open('/');
    await click(link(page, 'new config'));
    await type(form(page).getByLabel('Name', { exact: true }).first(), 'checkout');
    await type(metric(page), 'checkout_err');
    await click(offered(page, 'Metrics of the source', 'checkout_errors_total'));
    // The label is found, and said to be right by its values.
    await page.getByText('Its values: r41, r42.').waitFor();
    await click(button(page, 'Store'));
    await click(link(page, 'Judge the last hour'));
    await click(offered(page, 'Control: what the source has', 'r41'));
    await click(offered(page, 'Experiment: what the source has', 'r42'));
    await click(button(page, 'Start the run'));
    await verdict(page).waitFor();
    assert.equal(await page.locator('#outcome').textContent(), 'Fail');
    console.log(`${clicks.length} clicks, ${fields.length} typed fields`);
    assert(clicks.length <= MOST.clicks && fields.length <= MOST.fields, JSON.stringify({ clicks, fields }, null, 2));

    const [{ id, applications }] = await serin.call('GET', '/canaryConfig');
    assert.deepEqual(applications, ['checkout']);
    const { metrics: [stored] } = await serin.call('GET', `/canaryConfig/${id}`);
    assert.deepEqual([stored.name, stored.query.customInlineTemplate],
      ['checkout_errors_total', 'PromQL:sum(rate(checkout_errors_total{release="${scope}"}[1m]))']);
  });

  inTab('goes the same way with the keyboard alone, and hears what is offered', {}, async ({ page, open }) => {
    const press = async (what, key = 'Enter') => {
      await what.waitFor();
      await what.focus();
      await page.keyboard.press(key);
    };
    await open('/ui/configs/new');
    await press(form(page).getByLabel('Name', { exact: true }).first(), 'Control+a');
    await page.keyboard.type('by-keyboard');
    assert.equal(await form(page).getByLabel('Applications').inputValue(), 'by-keyboard');
    // What the form begins with is not there, so it offers what is, and programs' own metrics last.
    await page.getByText('prometheus has no metric of that name.').waitFor();
    const names = page.getByRole('group', { name: 'Metrics of the source' }).getByRole('button');
    assert.deepEqual(await names.allTextContents(), ['checkout_errors_total', 'checkout_requests_total', 'prometheus_http_requests_total']);
    await isAccessible(page);
    await metric(page).focus();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'checkout_errors_total');
    await page.keyboard.press('Space');
    assert(await metric(page).evaluate((field) => field === document.activeElement));
    await page.getByText('Its values: r41, r42.').waitFor();
    assert.equal(await label(page).inputValue(), 'release');
    assert.equal(await offered(page, 'Labels of the metric', 'release').getAttribute('aria-pressed'), 'true');
    await page.locator('#verdict.is-fine').waitFor();
    await press(button(page, 'Show its series now'));
    await press(offered(page, 'Control: what the source has', 'r41'));
    await press(offered(page, 'Experiment: what the source has', 'r42'));
    await press(button(page, 'Show its series now'));
    await page.locator('#form figcaption', { hasText: 'High' }).waitFor();
    await isAccessible(page);
    await press(button(page, 'Store'));
    await page.getByText('Nothing has been judged by it yet.').waitFor();
    await isAccessible(page);
    await press(link(page, 'Judge the last hour'));
    await press(offered(page, 'Control: what the source has', 'r41'), 'Space');
    // That writes it, and sends no form.
    await press(offered(page, 'Experiment: what the source has', 'r42'));
    await isAccessible(page);
    await press(button(page, 'Start the run'));
    await verdict(page).waitFor();
    await isAccessible(page);
  });

  inTab('may write another query, and the fields for it go', {}, async ({ page, open }) => {
    await open('/ui/configs/new');
    await page.getByText('prometheus has no metric of that name.').waitFor();
    const before = await editor(page).text();
    const field = form(page).getByRole('textbox', { name: /^PromQL of/ });
    await field.focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type(' * 2');
    await metric(page).waitFor({ state: 'hidden' });
    await editor(page).write(before);
    await metric(page).waitFor();
    assert.equal(await metric(page).inputValue(), 'http_errors_total');
  });

  inTab('begins without scripts as well', { javaScriptEnabled: false }, async ({ page, open }) => {
    await open('/ui/configs/new');
    const text = JSON.parse(await page.locator('#config').inputValue());
    await page.locator('#config').fill(JSON.stringify({ ...text, name: 'plain' }));
    await button(page, 'Store').click();
    await link(page, 'Judge the last hour').click();
    await page.getByLabel('Control, scope').fill('r41');
    await page.getByLabel('Experiment, scope').fill('r42');
    await button(page, 'Start the run').click();
    await page.locator('#outcome').waitFor();
  });
});

describe('while there is nothing', () => {
  let empty;
  before(async () => { empty = await startEmptySerin(prometheus.url); });
  after(() => empty?.stop());
  const inEmpty = testsIn(() => ({ browser, serin: empty }));

  for (const address of ['/ui/', '/ui/analyses', '/ui/configs', '/ui/calibrations']) {
    inEmpty(`${address} says what comes next, in every look`, {}, async ({ page, open }) => {
      assert.equal((await open(address)).status(), 200);
      await isAccessible(page);
    });
  }
});
