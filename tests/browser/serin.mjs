// A serin of its own for every test file, and what a client of its API does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

/// `accounts` are names of metrics accounts and where their Prometheus is; `store` keeps the documents; `more` are
/// sections of the configuration.
export async function startSerin(accounts, store = 'documents', { server, ...more } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'serin-browser-'));
  const file = path.join(folder, 'serin.json');
  fs.writeFileSync(file, JSON.stringify({
    server: { port: 0, shutdownGrace: '1s', ...server },
    ...more,
    storage: { directory: folder },
    kayenta: {
      prometheus: {
        enabled: true,
        accounts: Object.entries(accounts).map(([name, baseUrl]) => ({ name, endpoint: { baseUrl }, locations: ['ns1', 'ns2'] })),
      },
      file: { enabled: true, accounts: [{ name: store, directory: path.join(folder, 'documents') }] },
    },
  }));
  return serve(folder, ['--config', file]);
}

/// One that has nothing, and knows no more than where a Prometheus is.
export function startEmptySerin(prometheus) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'serin-browser-'));
  return serve(folder, ['--prometheus', prometheus, '--port', '0']);
}

async function serve(folder, options) {
  const program = spawn(process.env.SERIN_PROGRAM, ['serve', ...options], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const url = await listening(program);
  return {
    ...client(url),
    async stop() {
      const ended = new Promise((resolve) => program.on('exit', resolve));
      program.kill();
      await ended;
      fs.rmSync(folder, { recursive: true });
    },
  };
}

function listening(program) {
  return new Promise((resolve, reject) => {
    let log = '';
    program.stderr.on('data', (part) => {
      log += part;
      const [, url] = /serin listens url="([^"]+)"/.exec(log) ?? [];
      if (url) resolve(url);
    });
    program.on('exit', () => reject(new Error(`serin does not start:\n${log}`)));
  });
}

function client(url) {
  async function call(method, path, body) {
    const response = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text && JSON.parse(text);
  }
  async function complete(path) {
    for (;;) {
      const execution = await call('GET', `${path}?wait=5s`);
      if (execution.complete) return execution;
    }
  }
  return {
    url,
    call,
    store: async (config) => (await call('POST', '/canaryConfig', config)).canaryConfigId,
    start: async (path, body) => (await call('POST', path, body)).canaryExecutionId,
    run: (id) => complete(`/canary/${id}`),
    startAnalysis: async (path, body) =>
      (await call('POST', `/standalone_canary_analysis${path}`, body)).canaryAnalysisExecutionId,
    analysis: (id) => complete(`/standalone_canary_analysis/${id}`),
  };
}

/// Where nobody listens.
export async function freePort() {
  const server = http.createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/// A config whose metrics are PromQL over `${scope}`.
export function config(name, metrics, more = {}) {
  return {
    name,
    applications: ['checkout'],
    judge: { name: 'NetflixACAJudge-v1.0', judgeConfigurations: {} },
    templates: {},
    metrics: metrics.map(({ name, query, group = 'all', policy = {} }) => ({
      name,
      query: { type: 'prometheus', customInlineTemplate: `PromQL:${query}` },
      groups: [group],
      analysisConfigurations: { canary: { direction: 'increase', ...policy } },
      scopeName: 'default',
    })),
    classifier: { groupWeights: { all: 100 } },
    ...more,
  };
}

/// An execution request over some minutes, from 01:00 of the recorded day if nothing else is said.
export function request({
  scopes = ['prod', 'canary'],
  location = 'ns1',
  start = Date.parse('2024-06-01T01:00:00Z'),
  minutes = 60,
  thresholds = { pass: 95, marginal: 75 },
} = {}) {
  const side = (scope) => ({
    scope,
    location,
    start: new Date(start).toISOString(),
    end: new Date(start + minutes * 60_000).toISOString(),
    step: 60,
    extendedScopeParams: {},
  });
  return { scopes: { default: { controlScope: side(scopes[0]), experimentScope: side(scopes[1]) } }, thresholds };
}
