// Deck's calls, and the published types of @spinnaker/kayenta 2.3.0 that it reads the answers as
// (schemas/*.json were generated from them). SERIN_URL says where serin is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import Ajv from 'ajv';

const serin = process.env.SERIN_URL;
assert(serin, 'SERIN_URL is not set');
const ajv = new Ajv({ allErrors: true });

// What the types ask for and Kayenta does not answer, or only where it was given; Deck copes, or
// adds it by itself.
const ABSENT = {
  ICanaryExecutionStatusResult: ['id', 'parentPipelineExecutionId'],
  ICanaryAnalysisResult: ['classificationReason'],
  ICanaryAnalysisResultsStats: ['median'],
  'ICanaryMetricConfig<any>': ['id'],
};
const UNFINISHED = { ICanaryExecutionStatusResult: ['result', 'endTimeIso', 'metricSetPairListId'] };
const FAILED = { ICanaryExecutionStatusResult: ['result', 'metricSetPairListId'] };

/// The value is of that type, but for the members that may be absent.
function isA(type, value, mayBeAbsent = {}) {
  const schema = JSON.parse(fs.readFileSync(new URL(`schemas/${type}.json`, import.meta.url)));
  for (const absent of [ABSENT, mayBeAbsent]) {
    for (const [name, members] of Object.entries(absent)) {
      const definition = name === type ? schema : schema.definitions?.[name];
      if (definition) definition.required = definition.required.filter((member) => !members.includes(member));
    }
  }
  assert(ajv.validate(schema, value), `${type}: ${ajv.errorsText()}\n${JSON.stringify(value).slice(0, 2000)}`);
}

async function call(method, path, body) {
  const response = await fetch(serin + path, {
    method,
    headers: { 'content-type': 'application/json', 'X-SPINNAKER-USER': 'deck' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

async function get(path) {
  const { status, body } = await call('GET', path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
}

// What the config editor saves.
const metric = (name, query) => ({
  name,
  query: {
    type: 'prometheus', serviceType: 'prometheus', queryType: 'DEFAULT', resourceType: '', metricName: name,
    groupByFields: [], labelBindings: [],
    ...query,
  },
  groups: ['all'],
  analysisConfigurations: { canary: { direction: 'increase' } },
  scopeName: 'default',
});
const config = (name, metrics) => ({
  name,
  applications: ['deck'],
  description: '',
  configVersion: '1',
  createdTimestamp: Date.now(),
  updatedTimestamp: Date.now(),
  judge: { name: 'NetflixACAJudge-v1.0', judgeConfigurations: {} },
  metrics,
  templates: { version: 'version="${scope}",namespace="${location}"' },
  classifier: { groupWeights: { all: 100 } },
});
const cpu = metric('cpu_usage', { customFilterTemplate: 'version' });
// No side has points in the first; the second never moves.
const silent = metric('nothing_like_this', { customFilterTemplate: 'version' });
const zero = metric('zero_gauge', { customFilterTemplate: 'version' });
const broken = metric('broken', { customInlineTemplate: 'PromQL:sum(' });

async function save(name, metrics) {
  const { status, body } = await call('POST', '/canaryConfig', config(name, metrics));
  assert.equal(status, 200, JSON.stringify(body));
  isA('ICanaryConfigUpdateResponse', body);
  return body.canaryConfigId;
}

// What the form of a manual analysis sends.
async function start(configId, { metricsAccount = 'history', parent = '' } = {}) {
  const scope = (name) => ({
    scope: name, location: 'ns1', start: '2024-06-01T01:00:00Z', end: '2024-06-01T02:00:00Z', step: 60,
    extendedScopeParams: {},
  });
  const { status, body } = await call(
    'POST',
    `/canary/${configId}?application=deck&metricsAccountName=${metricsAccount}&storageAccountName=reports` +
      `&parentPipelineExecutionId=${parent}`,
    {
      scopes: { default: { controlScope: scope('prod'), experimentScope: scope('canary') } },
      thresholds: { pass: 95, marginal: 75 },
    },
  );
  assert.equal(status, 200, JSON.stringify(body));
  isA('ICanaryExecutionResponse', body);
  return body.canaryExecutionId;
}

const report = (id) => get(`/canary/${id}?storageAccountName=reports`);

async function until(id, reached) {
  for (let left = 600; left > 0; left--) {
    const execution = await report(id);
    if (reached(execution)) return execution;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${id} does not get there`);
}
const complete = (id) => until(id, (execution) => execution.complete);
const running = (id) => until(id, (execution) => execution.status !== 'not_started');

/// What the report page reads without looking whether it is there.
function canBeShown(execution, metricsAccount = 'history') {
  assert.equal(typeof execution.config, 'object', 'the page writes config.id');
  assert.equal(execution.application, 'deck');
  assert.equal(execution.metricsAccountName, metricsAccount);
  assert.equal(execution.storageAccountName, 'reports');
  for (const member of execution.config.metrics) {
    assert.equal(member.query.type, 'prometheus');
    assert.equal(member.scopeName, 'default');
  }
  const { controlScope, experimentScope } = execution.canaryExecutionRequest.scopes.default;
  assert.deepEqual([controlScope.scope, experimentScope.scope], ['prod', 'canary']);
}

describe('accounts and judges', () => {
  test('accounts carry their types and both lists of locations, in the order of the file', async () => {
    const accounts = await get('/credentials');
    for (const account of accounts) {
      isA('IKayentaAccount', account);
      assert(Array.isArray(account.locations) && Array.isArray(account.recommendedLocations), account.name);
    }
    const first = (type) => accounts.find((account) => account.supportedTypes.includes(type)).name;
    assert.equal(first('METRICS_STORE'), 'history');
    assert.equal(first('OBJECT_STORE'), 'reports');
    assert.equal(first('CONFIGURATION_STORE'), 'configs');
    assert.deepEqual(accounts.find((account) => account.name === 'history').locations, ['ns1']);
  });

  test('there is a judge to choose', async () => {
    const judges = await get('/judges');
    judges.forEach((judge) => isA('IJudge', judge));
    assert(judges.some((judge) => judge.visible && judge.name === 'NetflixACAJudge-v1.0'));
  });

  test('metric names are completed, with an account and without', async () => {
    for (const account of ['&metricsAccountName=history', '&metricsAccountName=', '']) {
      const found = await get(`/metadata/metricsService?filter=cpu_u${account}`);
      found.forEach((descriptor) => isA('IPrometheusMetricDescriptor', descriptor));
      assert(found.some(({ name }) => name === 'cpu_usage'), JSON.stringify(found));
    }
  });
});

describe('configs', () => {
  test('one is created, listed, edited, renamed and deleted', async () => {
    const id = await save('deck-life', [cpu]);
    const list = await get('/canaryConfig?application=deck');
    list.forEach((summary) => isA('ICanaryConfigSummary', summary));
    assert(list.some((summary) => summary.id === id && summary.name === 'deck-life'));
    assert(!(await get('/canaryConfig?application=other')).some((summary) => summary.id === id));

    const stored = await get(`/canaryConfig/${id}`);
    isA('ICanaryConfig', stored);
    isA('IPrometheusCanaryMetricSetQueryConfig', stored.metrics[0].query);

    const edited = { ...stored, name: 'deck-life-renamed', description: 'edited', isNew: false };
    const { status, body } = await call('PUT', `/canaryConfig/${id}`, edited);
    assert.equal(status, 200, JSON.stringify(body));
    isA('ICanaryConfigUpdateResponse', body);
    assert.equal(body.canaryConfigId, id);
    const renamed = await get(`/canaryConfig/${id}`);
    isA('ICanaryConfig', renamed);
    assert.equal(renamed.name, 'deck-life-renamed');
    assert(renamed.updatedTimestamp >= stored.updatedTimestamp);

    assert.equal((await call('DELETE', `/canaryConfig/${id}`)).status, 204);
    assert.equal((await call('GET', `/canaryConfig/${id}`)).status, 404);
  });

  test('two of one name in one application are refused in words', async () => {
    await save('deck-twice', [cpu]);
    const { status, body } = await call('POST', '/canaryConfig', config('deck-twice', [cpu]));
    assert.equal(status, 400);
    assert.match(body.message, /deck-twice/);
  });
});

describe('executions', () => {
  const ids = {};
  before(async () => {
    const good = await save('deck-good', [cpu, silent, zero]);
    ids.good = good;
    ids.finished = await start(good, { parent: 'a-pipeline' });
    ids.live = await start(await save('deck-live', [cpu]), { metricsAccount: 'unreachable' });
    ids.canceled = await start(await save('deck-canceled', [cpu]), { metricsAccount: 'unreachable' });
    ids.failed = await start(await save('deck-failed', [cpu, broken]));
  });
  after(() => call('PUT', `/pipelines/${ids.live}/cancel`));

  test('a finished one is a report with a verdict for every metric', async () => {
    const execution = await complete(ids.finished);
    isA('ICanaryExecutionStatusResult', execution);
    canBeShown(execution);
    assert.equal(execution.status, 'succeeded');
    assert.equal(execution.canaryConfigId, ids.good);
    assert.equal(execution.parentPipelineExecutionId, 'a-pipeline');
    assert.equal(execution.exception, undefined);
    const { score, results } = execution.result.judgeResult;
    assert.equal(typeof score.score, 'number');
    assert.deepEqual(
      results.map(({ name, classification }) => [name, classification]),
      [['cpu_usage', 'Pass'], ['nothing_like_this', 'Nodata'], ['zero_gauge', 'Pass']],
    );
  });

  test('its graphs are found by the ids of the verdicts', async () => {
    const execution = await complete(ids.finished);
    const pairs = await get(`/metricSetPairList/${execution.metricSetPairListId}?accountName=reports`);
    const { results } = execution.result.judgeResult;
    assert.deepEqual(pairs.map((pair) => pair.id).sort(), results.map((result) => result.id).sort());
    for (const pair of pairs) {
      for (const side of ['control', 'experiment']) {
        assert(pair.attributes[side] && pair.scopes[side].stepMillis > 0, pair.name);
        // JSON has no NaN; Deck shows what is no number as N/A.
        pair.values[side] = pair.values[side].map((value) => (value === 'NaN' ? 0 : value));
      }
      isA('IMetricSetPair', pair);
    }
    const shown = pairs.find((pair) => pair.name === 'cpu_usage');
    assert.equal(shown.values.control.length, 61);
    assert.equal(shown.scopes.control.startTimeIso, '2024-06-01T01:00:00Z');
  });

  test('a live one can be shown', async () => {
    const execution = await running(ids.live);
    isA('ICanaryExecutionStatusResult', execution, UNFINISHED);
    assert.equal(execution.complete, false);
    assert.equal(execution.status, 'running');
    assert.equal(execution.stageStatus.fetchControl0, 'running');
    canBeShown(execution, 'unreachable');
  });

  test('a failed one says why', async () => {
    const execution = await complete(ids.failed);
    isA('ICanaryExecutionStatusResult', execution, FAILED);
    canBeShown(execution);
    assert.equal(execution.status, 'terminal');
    const { error, errors } = execution.exception.details;
    assert.equal(typeof error, 'string');
    assert(Array.isArray(errors), JSON.stringify(execution.exception));
    assert.match(error + errors.join(), /parse error/);
  });

  test('a canceled one ends, and can be shown', async () => {
    await running(ids.canceled);
    assert.equal((await call('PUT', `/pipelines/${ids.canceled}/cancel`)).status, 202);
    const execution = await complete(ids.canceled);
    isA('ICanaryExecutionStatusResult', execution, FAILED);
    assert.equal(execution.status, 'canceled');
    // Without it, Deck takes it for one with a result.
    assert.equal(execution.exception.details.error, 'Canary execution was canceled.');
    canBeShown(execution, 'unreachable');
  });

  test('the list has every state, and rows that cannot break the table', async () => {
    await Promise.all([ids.finished, ids.failed, ids.canceled].map(complete));
    await running(ids.live);
    const rows = await get('/canary/executions?application=deck&limit=20&page=1&statuses=&storageAccountName=reports');
    const states = Object.fromEntries(rows.map((row) => [row.pipelineId, row.status]));
    const { good, ...executions } = ids;
    assert.deepEqual(
      Object.entries(executions).map(([state, id]) => [state, states[id]]),
      [['finished', 'succeeded'], ['live', 'running'], ['canceled', 'canceled'], ['failed', 'terminal']],
    );
    for (const row of rows) {
      isA('ICanaryExecutionStatusResult', row, row.complete ? FAILED : UNFINISHED);
      assert(row.config.name && row.canaryExecutionRequest.thresholds.pass);
    }
    const succeeded = await get('/canary/executions?application=deck&limit=20&statuses=SUCCEEDED,RUNNING&storageAccountName=reports');
    assert.deepEqual(new Set(succeeded.map((row) => row.status)), new Set(['succeeded', 'running']));
  });

  test('one that is not there is a 404 with a message', async () => {
    const { status, body } = await call('GET', '/canary/01ARZ3NDEKTSV4RRFFQ69G5FAV?storageAccountName=reports');
    assert.equal(status, 404);
    assert.equal(typeof body.message, 'string');
  });
});
