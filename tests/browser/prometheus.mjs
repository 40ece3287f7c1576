// A Prometheus that makes up one series for every query, and can be told to wait; and a real one with samples of late.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { freePort } from './serin.mjs';

export const START = Date.parse('2024-06-01T00:00:00Z') / 1000;

/// `value(query, time)` gives a number, or null where there is a gap. Queries under /held wait for `release`. `known` are
/// names of metrics, each with the values of its labels.
export async function startPrometheus(value, known = {}) {
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const url = new URL(request.url, 'http://prometheus');
    const asked = new URLSearchParams(`${url.searchParams}&${body}`);
    if (url.pathname.startsWith('/held') && asked.has('query')) await released;
    const data = asked.has('query')
      ? { resultType: 'matrix', result: matrix(asked, value) }
      : names(url.pathname, asked.get('match[]'), known);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'success', data }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    release,
    stop() {
      release();
      server.closeAllConnections();
      server.close();
    },
  };
}

function names(path, match, known) {
  const [, label] = /\/label\/([^/]+)\/values$/.exec(path) ?? [];
  if (label === '__name__') return Object.keys(known);
  const [, metric] = /__name__="([^"]*)"/.exec(match) ?? [];
  const labels = known[metric] ?? {};
  return label ? labels[label] ?? [] : Object.keys(labels);
}

function matrix(asked, value) {
  const seconds = (name) => Number(asked.get(name)) || Date.parse(asked.get(name)) / 1000;
  const [start, end, step] = [seconds('start'), seconds('end'), parseFloat(asked.get('step'))];
  const values = [];
  for (let time = start; time <= end; time += step) {
    const here = value(asked.get('query'), time);
    if (here !== null) values.push([time, String(here)]);
  }
  return values.length ? [{ metric: {}, values }] : [];
}

/// From 0 to 1, the same for the same query and time.
export function noise(query, time) {
  let hash = 2166136261 ^ time;
  for (const letter of query) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

/// A real one that holds counters, by their name and their labels: each went up by `rate(time)` a second over the last
/// `minutes`.
export async function startRealPrometheus(counters, minutes) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'serin-prometheus-'));
  const [samples, settings] = ['samples.om', 'prometheus.yml'].map((name) => path.join(folder, name));
  fs.writeFileSync(samples, openMetrics(counters, minutes));
  fs.writeFileSync(settings, 'global: {}\n');
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', samples, path.join(folder, 'tsdb')], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${await freePort()}`;
  const program = spawn('prometheus', [
    `--config.file=${settings}`, `--storage.tsdb.path=${path.join(folder, 'tsdb')}`, `--web.listen-address=${new URL(url).host}`,
  ], { stdio: 'ignore' });
  const ended = new Promise((resolve) => program.on('exit', resolve));
  await Promise.race([answering(`${url}/-/ready`), ended.then(() => { throw new Error('prometheus does not start'); })]);
  return {
    url,
    async stop() {
      program.kill();
      await ended;
      fs.rmSync(folder, { recursive: true });
    },
  };
}

/// Seconds between two samples.
const EVERY = 15;

function openMetrics(counters, minutes) {
  const end = Math.floor(Date.now() / 1000);
  const written = Object.entries(counters).map(([name, all]) => {
    const samples = Object.entries(all).flatMap(([labels, rate]) => {
      let sum = 0;
      return Array.from({ length: minutes * 60 / EVERY + 1 }, (_, at) => {
        const time = end - minutes * 60 + at * EVERY;
        sum += rate(time) * EVERY;
        return `${name}_total{${labels}} ${sum} ${time}`;
      });
    });
    return [`# TYPE ${name} counter`, ...samples].join('\n');
  });
  return `${written.join('\n')}\n# EOF\n`;
}

async function answering(url) {
  while (!(await fetch(url).then(({ ok }) => ok, () => false))) await new Promise((later) => setTimeout(later, 100));
}
