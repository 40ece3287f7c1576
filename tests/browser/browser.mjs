// The system's Chromium, which can reach nothing but this machine, and pages that are watched.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { chromium } from 'playwright-core';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const DESK = { width: 1280, height: 800 };
export const TELEPHONE = { width: 390, height: 844 };

/// The names lead to this machine.
export const startBrowser = (names = []) => chromium.launch({
  executablePath: process.env.SERIN_TEST_CHROMIUM,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--no-proxy-server',
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1 , `).join('')}MAP * ~NOTFOUND , EXCLUDE 127.0.0.1`,
  ],
});

/// A context whose pages are remembered by what they asked for and what went wrong in them.
export async function watched(browser, serin, options = {}) {
  const context = await browser.newContext({ viewport: DESK, ...options });
  const [requests, problems] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  context.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  context.on('weberror', (failure) => problems.push(String(failure.error())));
  const page = await context.newPage();
  return {
    page,
    context,
    problems,
    open: (path) => page.goto(serin.url + path),
    /// No error in the console, no request to any other host.
    isQuiet(but = /^$/) {
      assert.deepEqual(problems.filter((problem) => !but.test(problem)), []);
      const elsewhere = requests.filter((url) => !url.startsWith(`${serin.url}/`) && !/^(file|data|blob):/.test(url));
      assert.deepEqual(elsewhere, []);
    },
    close: () => context.close(),
  };
}

/// Tests with a tab of their own each, in which nothing goes wrong unseen.
export const testsIn = (started) => (name, options, use) => test(name, async () => {
  const { browser, serin } = started();
  const tab = await watched(browser, serin, options);
  try {
    await use(tab);
    tab.isQuiet(options.mayTell);
  } finally {
    await tab.close();
  }
});

/// The text of the editor, in which one writes in place of the field that the form sends.
export const editor = (page) => ({
  text: () => page.locator('#config').inputValue(),
  box: page.locator('.writing .cm-content'),
  async write(text) {
    await this.box.focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(text);
  },
});

/// axe-core finds nothing serious, in either theme and at either width, and nothing has to be scrolled sideways.
export async function isAccessible(page) {
  // Colours do not depend on the width, so two looks show all that four would.
  for (const [colorScheme, viewport] of [['light', DESK], ['dark', TELEPHONE]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    const look = `${new URL(page.url()).pathname}, ${colorScheme}, ${viewport.width} px`;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wide <= 0, `${look}: ${wide} px too wide`);
    assert.deepEqual(await serious(page), [], look);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(DESK);
}

async function serious(page) {
  // The pages' own policy admits no script but theirs; the debugger is not bound by it.
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => `${node.target}: ${node.failureSummary}`) }));
}
