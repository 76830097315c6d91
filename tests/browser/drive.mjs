// A browser that a test tells what to do: one JSON object a line on stdin, one on stdout for each.
//   node drive.mjs FOLDER_WITH_NODE_MODULES FOLDER_FOR_ITS_PROFILE
// {"do": NAME, ...} is answered by {"ok": VALUE} or {"error": WHY}. Nothing of what a page says is ever run here.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, profile] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// How long anything on a page may take, milliseconds.
const PATIENCE = 10_000;

const browser = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  acceptDownloads: true,
  viewport: { width: 1280, height: 800 },
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    '--mute-audio',
  ],
});
browser.setDefaultTimeout(PATIENCE);
const page = browser.pages()[0] ?? (await browser.newPage());

// What went wrong on its own: errors of scripts, what the policy of the page refused, failed loads.
let troubles = [];
page.on('pageerror', (error) => troubles.push(`script: ${error.message}`));
page.on('console', (line) => {
  if (line.type() === 'error') troubles.push(`console: ${line.text()}`);
});

const deeds = {
  async goto({ url }) {
    const response = await page.goto(url, { waitUntil: 'load' });
    return { status: response?.status() ?? 0, url: page.url(), title: await page.title() };
  },
  async reload() {
    await page.reload({ waitUntil: 'load' });
  },
  async url() {
    return page.url();
  },
  async click({ at }) {
    await page.locator(at).first().click();
  },
  async fill({ at, text }) {
    await page.locator(at).first().fill(text);
  },
  async choose({ at, value }) {
    await page.locator(at).first().selectOption(value);
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  // Presses what begins a download, keeps it, and says what it is called.
  async download({ at, file }) {
    const begun = page.waitForEvent('download');
    await page.locator(at).first().click();
    const download = await begun;
    await download.saveAs(file);
    return download.suggestedFilename();
  },
  async upload({ at, files }) {
    await page.locator(at).first().setInputFiles(files);
  },
  // Drops a file where it is dragged to: a real DataTransfer, made in the page.
  async drop({ at, file, name, type }) {
    const data = await page.evaluateHandle(
      ([base64, name, type]) => {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, { type }));
        return transfer;
      },
      [readFileSync(file).toString('base64'), name, type],
    );
    for (const event of ['dragenter', 'dragover', 'drop']) {
      await page.dispatchEvent(at, event, { dataTransfer: data });
    }
  },
  async wait({ at, state }) {
    await page.locator(at).first().waitFor({ state: state ?? 'visible' });
  },
  async text({ at }) {
    return page.locator(at).first().innerText();
  },
  async texts({ at }) {
    // Text of a drawing has no innerText.
    return page.locator(at).evaluateAll((all) => all.map((one) => one.innerText ?? one.textContent));
  },
  async count({ at }) {
    return page.locator(at).count();
  },
  async attribute({ at, name }) {
    return page.locator(at).first().getAttribute(name);
  },
  // A script of the test; what the page's own may do is not widened by it.
  async run({ script }) {
    return (await page.evaluate(script)) ?? null;
  },
  async until({ script }) {
    // Asked from outside: what runs in the page itself (waitForFunction) its policy forbids.
    const until = Date.now() + PATIENCE;
    while (!(await page.evaluate(script))) {
      if (Date.now() > until) throw new Error(`never true: ${script}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  async shot({ file, whole }) {
    await page.screenshot({ path: file, fullPage: whole ?? false, animations: 'disabled' });
  },
  async size({ width, height }) {
    await page.setViewportSize({ width, height });
  },
  async scheme({ scheme }) {
    await page.emulateMedia({ colorScheme: scheme });
  },
  async forget() {
    await browser.clearCookies();
    await page.goto('about:blank');
  },
  async troubles() {
    const seen = troubles;
    troubles = [];
    return seen;
  },
  // What axe finds that is serious or critical: `rule: help (where)`.
  async axe() {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help} (${target.join(' ')})`));
  },
};

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
say({ ok: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { do: deed, ...rest } = JSON.parse(line);
    if (!Object.hasOwn(deeds, deed)) throw new Error(`no such deed: ${deed}`);
    say({ ok: (await deeds[deed](rest)) ?? null });
  } catch (error) {
    say({ error: `${error.message} at ${page.url()}` });
  }
}
await browser.close();
