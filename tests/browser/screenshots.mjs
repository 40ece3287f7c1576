// The pictures of docs/images, from releases of a made-up shop.
import fs from 'node:fs';
import path from 'node:path';
import { startBrowser, watched } from './browser.mjs';
import { noise, startPrometheus } from './prometheus.mjs';
import { config, request, startSerin } from './serin.mjs';

const HOUR = 3600_000;
const IMAGES = path.join(process.env.SERIN_ROOT, 'docs/images');
const START = Math.floor(Date.now() / HOUR) * HOUR - 3 * HOUR;

// By words of the query: the usual level, how much it moves, and how much more a bad version has of it.
const SERIES = [
  ['code=~', { level: 0.0021, moves: 0.5, bad: 3.6 }],
  ['0.99', { level: 0.412, moves: 0.25, bad: 1.34 }],
  ['0.5,', { level: 0.087, moves: 0.12, bad: 1.02 }],
  ['payment_declined', { level: 0.31, moves: 0.7, bad: 1.01 }],
  ['orders_total', { level: 18.4, moves: 0.2, bad: 0.98 }],
  ['cpu_usage', { level: 0.62, moves: 0.15, bad: 1.19 }],
  ['memory_working_set', { level: 418e6, moves: 0.03, bad: 1.01 }],
  ['gc_pause', { level: 0.011, moves: 0.4, bad: 1.0 }],
];
const BAD = /v2\.15\.0/;
const SLIGHTLY_BAD = /v7\.3\.0/;
const BAD_LATER = /v2\.16\.0/;

function value(query, time) {
  const of = SERIES.find(([word]) => query.includes(word))?.[1];
  const minute = Math.floor(time / 60) % 60;
  if (!of || (BAD.test(query) && 33 <= minute && minute < 37)) return null;
  const isAffected = BAD.test(query) || (SLIGHTLY_BAD.test(query) && query.includes('0.99')) ||
    (BAD_LATER.test(query) && time * 1000 > START + HOUR);
  // A release gets worse over its first minutes.
  const worse = isAffected ? 1 + (of.bad - 1) * Math.min(1, 0.35 + minute / 25) : 1;
  const wave = 1 + (of.moves / 3) * Math.sin(time / 700 + of.level);
  const spike = noise(`spike ${query}`, time) > 0.985 ? 1 + of.moves : 1;
  return of.level * worse * wave * spike * (1 + of.moves * (noise(query, time) - 0.5));
}

const by = 'version="${scope}", namespace="${location}"';
const ratio = `sum(rate(http_requests_total{code=~"5..", ${by}}[1m])) / sum(rate(http_requests_total{${by}}[1m]))`;
const quantile = (of) => `histogram_quantile(${of}, sum by (le) (rate(http_request_duration_seconds_bucket{${by}}[1m])))`;
const METRICS = [
  { name: 'Error rate', group: 'Errors', query: ratio, policy: { critical: true, effectSize: { allowedIncrease: 1.1, criticalIncrease: 3 } } },
  { name: 'Latency p99', group: 'Latency', query: quantile(0.99), policy: { effectSize: { allowedIncrease: 1.1 } } },
  { name: 'Latency p50', group: 'Latency', query: quantile('0.5'), policy: { effectSize: { allowedIncrease: 1.1 } } },
  { name: 'Declined payments', group: 'Business', query: `sum(rate(payment_declined_total{${by}}[1m]))` },
  { name: 'Orders', group: 'Business', query: `sum(rate(orders_total{${by}}[1m]))`, policy: { direction: 'decrease', mustHaveData: true } },
  { name: 'CPU of a pod', group: 'Resources', query: `avg(rate(container_cpu_usage_seconds_total{${by}}[1m]))`, policy: { effectSize: { allowedIncrease: 1.05 } } },
  { name: 'Memory of a pod', group: 'Resources', query: `avg(container_memory_working_set_bytes{${by}})` },
  { name: 'GC pause', group: 'Resources', query: `max(jvm_gc_pause_seconds_max{${by}})` },
  { name: 'Messages left in the queue', group: 'Business', query: `max(queue_ready_messages{${by}})` },
];
const WEIGHTS = { classifier: { groupWeights: { Errors: 40, Latency: 25, Business: 20, Resources: 15 } } };
const shop = (application, metrics = METRICS) =>
  config(`${application}-release`, metrics, { applications: [application], description: 'What a release must not make worse', ...WEIGHTS });
const uncritical = METRICS.map((metric) => ({ ...metric, policy: { ...metric.policy, critical: false } }));
const measured = uncritical.filter(({ name }) => name !== 'Messages left in the queue');

// What the source tells of its metrics, for who writes a config.
const LABELS = { version: ['v2.14.0', 'v2.15.0'], namespace: ['eu-west-1'], pod: ['checkout-7d9f', 'checkout-b41c'] };
const COUNTED = ['http_requests_total', 'http_request_duration_seconds_bucket', 'http_server_errors_total', 'orders_total', 'payment_declined_total'];

const prometheus = await startPrometheus(value, Object.fromEntries(COUNTED.map((name) => [name, LABELS])));
const serin = await startSerin({ production: prometheus.url, held: `${prometheus.url}/held` }, 'reports');
const browser = await startBrowser();
try {
  const configs = {
    checkout: await serin.store(shop('checkout')),
    search: await serin.store(shop('search', measured)),
    payments: await serin.store(shop('payments', measured.slice(0, 6))),
  };
  const start = (application, scopes, { account = 'production', at = START } = {}) =>
    serin.start(`/canary/${configs[application]}?application=${application}&metricsAccountName=${account}`,
      request({ scopes, location: 'eu-west-1', start: at }));
  const judge = async (...of) => serin.run(await start(...of));

  const analysis = await serin.startAnalysis('?application=checkout&metricsAccountName=production', {
    canaryConfig: shop('checkout', uncritical),
    executionRequest: {
      scopes: [{
        controlScope: 'v2.15.1', controlLocation: 'eu-west-1', experimentScope: 'v2.16.0', experimentLocation: 'eu-west-1',
        step: 60, startTimeIso: new Date(START).toISOString(), endTimeIso: new Date(START + 2 * HOUR).toISOString(),
      }],
      thresholds: { pass: 95, marginal: 50 },
      analysisIntervalMins: 20,
    },
  });
  await serin.analysis(analysis);
  await judge('payments', ['v4.1.0', 'v4.1.1'], { at: START - 2 * HOUR });
  await judge('search', ['v7.1.4', 'v7.2.0'], { at: START - HOUR });
  await judge('checkout', ['v2.13.2', 'v2.14.0'], { at: START - HOUR });
  await judge('search', ['v7.2.0', 'v7.3.0']);
  await judge('payments', ['v4.1.1', 'v4.1.2']);
  const { pipelineId: failed } = await judge('checkout', ['v2.14.0', 'v2.15.0']);
  await judge('search', ['v7.3.0', 'v7.3.1']);
  const running = await start('payments', ['v4.1.2', 'v4.2.0'], { account: 'held' });
  while ((await serin.call('GET', `/canary/${running}`)).status !== 'running');

  const openFirst = async (page) => {
    await page.locator('.metric > summary').first().click();
    await page.locator('.metric canvas').waitFor();
  };
  const pickErrors = async (page) => {
    await page.locator('#form').getByLabel('Name', { exact: true }).first().fill('checkout');
    await page.getByRole('button', { name: 'http_server_errors_total', exact: true }).click();
    await page.getByText('Its values: v2.14.0, v2.15.0.').waitFor();
    await page.locator('#verdict.is-fine').waitFor();
    await page.locator('.metric-form').evaluate((form) => scrollBy(0, form.getBoundingClientRect().top - 20));
  };
  fs.mkdirSync(IMAGES, { recursive: true });
  await take('runs', '/ui/', { height: 560 });
  await take('run', `/ui/runs/${failed}`, { height: 1170, then: openFirst });
  await take('config', `/ui/configs/${configs.checkout}`, { height: 860 });
  await take('editor', '/ui/configs/new', { height: 900, then: pickErrors });
  await take('analysis', `/ui/analyses/${analysis}`, { height: 640 });
  await take('telephone', `/ui/runs/${failed}`, { width: 390, height: 844, colorScheme: 'dark' });
  if (process.argv[2]) {
    const more = process.argv[2];
    await take(`${more}/running`, `/ui/runs/${running}`, { height: 700 });
    await take(`${more}/edit`, `/ui/configs/${configs.checkout}/edit`, { height: 900 });
    await take(`${more}/try`, `/ui/configs/${configs.checkout}/try`, { height: 900, colorScheme: 'dark' });
    await take(`${more}/run-dark`, `/ui/runs/${failed}`, { height: 1170, then: openFirst, colorScheme: 'dark' });
    await take(`${more}/telephone-open`, `/ui/runs/${failed}`, { width: 390, height: 1900, then: openFirst });
    await take(`${more}/telephone-runs`, '/ui/', { width: 390, height: 844 });
    await take(`${more}/telephone-analysis`, `/ui/analyses/${analysis}`, { width: 390, height: 844, colorScheme: 'dark' });
    await take(`${more}/accounts`, '/ui/accounts', { height: 500 });
  }
} finally {
  prometheus.stop();
  await browser.close();
  await serin.stop();
}

async function take(name, address, { width = 1280, height, colorScheme = 'light', then }) {
  const tab = await watched(browser, serin, { viewport: { width, height }, colorScheme });
  await tab.open(address);
  await then?.(tab.page);
  await tab.page.mouse.move(0, 0);
  const file = path.resolve(IMAGES, `${name}.png`);
  await tab.page.screenshot({ path: file });
  console.log(`${path.relative(process.env.SERIN_ROOT, file)}: ${Math.round(fs.statSync(file).size / 1024)} KB`);
  await tab.close();
}
