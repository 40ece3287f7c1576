// The addresses below /ui that can be opened, as the source has them.
import fs from 'node:fs';
import path from 'node:path';

const ROUTE = /\.route\(\s*"(\/ui[^"]*)",\s*get\(/g;
// Those that no page is behind, and those that a test file of their own opens in every look.
const ELSEWHERE = {
  '/ui/assets/{version}/{*file}': 'a file',
  '/ui/configs/labels': 'data',
  '/ui/configs/templates': 'data',
  '/ui/runs/{id}/metrics/{file}': 'data',
  '/ui/login': 'login.test.mjs',
  '/ui/login/callback': 'login.test.mjs',
  '/ui/calibrations/{id}': 'calibrations.test.mjs',
};

function routes() {
  const root = path.join(process.env.SERIN_ROOT, 'src');
  const files = fs.readdirSync(root, { recursive: true }).filter((file) => /^ui(\.rs$|\/.*\.rs$)/.test(file));
  return files.flatMap((file) => [...fs.readFileSync(path.join(root, file), 'utf8').matchAll(ROUTE)].map(([, route]) => route));
}

/// Those of no address that was opened, and those of above that are not found any more.
export function unopened(addresses) {
  const all = routes();
  const paths = [...addresses].map((address) => new URL(address).pathname.replace(/(.)\/$/, '$1'));
  const opened = new Set(paths.map((one) => all.filter((route) => isOf(route, one)).sort((a, b) => variables(a) - variables(b))[0]));
  const gone = Object.keys(ELSEWHERE).filter((route) => !all.includes(route));
  return [...all.filter((route) => !opened.has(route) && !(route in ELSEWHERE)), ...gone];
}

const variables = (route) => route.split('{').length;
const isOf = (route, address) => new RegExp(`^${route.replace(/\{[^}]*\}/g, '[^/]+')}$`).test(address);
