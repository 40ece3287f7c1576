// A Prometheus that makes up one series for every query, and can be told to wait.
import http from 'node:http';

export const START = Date.parse('2024-06-01T00:00:00Z') / 1000;

/// `value(query, time)` gives a number, or null where there is a gap. Queries under /held wait for `release`.
export async function startPrometheus(value) {
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const url = new URL(request.url, 'http://prometheus');
    const asked = new URLSearchParams(`${url.searchParams}&${body}`);
    if (url.pathname.startsWith('/held') && asked.has('query')) await released;
    const result = asked.has('query') ? matrix(asked, value) : [];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }));
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
