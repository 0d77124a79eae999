import { chromium } from "playwright-core";

/** Chromium: that of `K1_CHROMIUM`, or Debian's. */
export const PROGRAM = process.env.K1_CHROMIUM ?? "/usr/bin/chromium";
export const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts Chromium. */
export function startBrowser() {
  return chromium.launch({ executablePath: PROGRAM, args: FLAGS });
}

/** Signs in by a one-time link, and returns what the browser holds then. */
export async function signIn(browser, link) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(link);
  await page.waitForURL("**/tracks");
  const state = await context.storageState();
  await context.close();
  return state;
}

/** Opens a signed-in window. */
export async function openWindow(browser, state) {
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  return { context, page: await context.newPage() };
}

/** Runs an action of the page once for each frame, and returns the intervals between the frames in ms. */
export function frames(page, action, count, argument) {
  return page.evaluate(
    async ([source, total, given]) => {
      const run = new Function("step", "given", source);
      const nextFrame = () => new Promise(requestAnimationFrame);
      const intervals = [];
      let before = await nextFrame();
      for (let step = 0; step < total; step++) {
        run(step, given);
        const now = await nextFrame();
        intervals.push(now - before);
        before = now;
      }
      return intervals;
    },
    [action, count, argument],
  );
}

/** Returns the value below which the given part of the values lies. */
export function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Describes values by their median, their 95 % quantile and the worst. */
export function describe(values, unit = "ms") {
  const [median, p95, worst] = [quantile(values, 0.5), quantile(values, 0.95), Math.max(...values)].map((value) => value.toFixed(value < 10 ? 1 : 0));
  return `median ${median} ${unit}, p95 ${p95} ${unit}, worst ${worst} ${unit}, n = ${values.length}`;
}
