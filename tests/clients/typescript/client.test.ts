// The client that openapi-typescript and openapi-fetch make of the document: it starts a canary, and reads its
// outcome. SERIN_URL says where serin is. What the types do not allow, tsc refuses before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import createClient from 'openapi-fetch';
import type { components, paths } from './serin.js';

type Schemas = components['schemas'];

const client = createClient<paths>({ baseUrl: process.env.SERIN_URL });
const storageAccountName = 'reports';

const config: Schemas['CanaryConfig'] = {
  name: 'typescript',
  metrics: [{
    name: 'errors', groups: ['all'], scopeName: 'default',
    query: { type: 'prometheus', customInlineTemplate: 'PromQL:vector(time() % 7 + ${level})' },
    analysisConfigurations: { canary: { direction: 'increase', effectSize: { allowedIncrease: 1.1 } } },
  }],
  classifier: { groupWeights: { all: 100 } },
};

const side = (level: string): Schemas['CanaryScope'] => ({
  scope: 'v1', step: 60, start: '2024-06-01T01:00:00Z', end: '2024-06-01T02:00:00Z', extendedScopeParams: { level },
});

const cases: [level: string, outcome: Schemas['Outcome'], label: Schemas['Label']][] = [
  ['1', 'pass', 'Pass'],
  ['9', 'fail', 'High'],
];

for (const [level, outcome, label] of cases) {
  test(`a level of ${level} has the outcome ${outcome}`, async () => {
    const started = await client.POST('/canary', {
      params: { query: { application: 'typescript', metricsAccountName: 'history', storageAccountName } },
      body: {
        canaryConfig: config,
        executionRequest: {
          scopes: { default: { controlScope: side('1'), experimentScope: side(level) } },
          thresholds: { pass: 95, marginal: 75 },
        },
      },
    });
    assert(started.data, started.error?.message);
    const { data: found, error } = await client.GET('/canary/{id}', {
      params: { path: { id: started.data.canaryExecutionId }, query: { storageAccountName, wait: '30s' } },
    });
    assert(found, error?.message);
    assert.equal(found.outcome, outcome);
    assert.equal(found.result?.judgeResult?.results[0]?.classification, label);
  });
}

test('what went wrong has the type of an error', async () => {
  const { error } = await client.GET('/canary/{id}', { params: { path: { id: 'missing' }, query: { storageAccountName } } });
  assert.equal(error?.status, 404);
});

// @ts-expect-error: a word that direction does not have.
export const refused: Schemas['CanaryAnalysisConfiguration'] = { direction: 'up' };
