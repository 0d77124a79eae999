/**
 * Measures the page in Chromium against a running stack, and prints the numbers of docs/benchmarks.md.
 *
 *   node webapp/bench/bench.mjs SIGN_IN_LINK [ID of a track with about 3,000 beats]
 *
 * The list of 10,000 tracks is the one thing that no stack has: its pages are answered with copies of the first track.
 */
import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { describe, frames, openWindow, signIn, startBrowser } from "./browser.mjs";
import { makeSong } from "./song.mjs";

const [link, longTrack] = process.argv.slice(2);
if (!link) throw new Error("give the sign-in link that `k1 up` prints");
const base = new URL(link).origin;
/** As Lighthouse's slow 4G: 1.6 Mbit/s down, 0.75 Mbit/s up, 150 ms. */
const SLOW_4G = { offline: false, latency: 150, downloadThroughput: 200_000, uploadThroughput: 93_750 };
const TRACKS = 10_000;
const ROW = "[data-row] .font-medium";

function printSizes() {
  const root = join(import.meta.dirname, "../../services/gateway/k1_gateway/web");
  const html = readFileSync(join(root, "index.html"), "utf8");
  const names = [...readdirSync(join(root, "assets")).map((name) => `assets/${name}`), "icon.svg", "index.html"];
  const size = (suffix) => (path) => readFileSync(join(root, names.includes(path + suffix) ? path + suffix : path)).length;
  const files = names.filter((name) => !/\.(gz|br)$/.test(name));
  const entry = files.filter((name) => html.includes(`/${name}`));
  for (const [encoding, suffix] of [["gzip", ".gz"], ["brotli", ".br"]]) {
    const sum = (paths) => (paths.map(size(suffix)).reduce((one, other) => one + other, 0) / 1000).toFixed(1);
    console.log(`bundle, ${encoding}: entry ${sum(entry)} kB, everything ${sum(files)} kB in ${files.length} files`);
  }
}

async function measureColdLoad(browser, state) {
  const rows = [];
  const paints = [];
  for (let run = 0; run < 5; run++) {
    const { context, page } = await openWindow(browser, state);
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", SLOW_4G);
    await page.addInitScript((selector) => {
      const look = () => document.querySelector(selector) && (globalThis.k1Row ??= performance.now());
      addEventListener("DOMContentLoaded", () => new MutationObserver(look).observe(document.body, { childList: true, subtree: true }));
    }, ROW);
    await page.goto(`${base}/tracks`);
    await page.waitForFunction(() => globalThis.k1Row);
    rows.push(await page.evaluate(() => globalThis.k1Row));
    paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN));
    await context.close();
  }
  console.log(`cold load, slow 4G, first paint: ${describe(paints)}`);
  console.log(`cold load, slow 4G, tracks on the screen: ${describe(rows)}`);
}

async function measureScrolling(browser, state) {
  const { context, page } = await openWindow(browser, state);
  await page.route(/\/api\/v1\/tracks\?/, async (route) => {
    const url = new URL(route.request().url());
    const offset = Number(url.searchParams.get("offset") ?? 0);
    const limit = Number(url.searchParams.get("limit") ?? 100);
    url.searchParams.set("offset", "0");
    const response = await route.fetch({ url: url.href });
    const answer = await response.json();
    const [first] = answer.items;
    const items = Array.from({ length: Math.min(limit, TRACKS - offset) }, (_, index) => ({ ...first, id: `${first.id.slice(0, -6)}${String(offset + index).padStart(6, "0")}`, title: `Track ${offset + index}` }));
    await route.fulfill({ response, json: { ...answer, total: TRACKS, offset, items } });
  });
  await page.goto(`${base}/tracks`);
  await page.waitForSelector(ROW);
  await page.waitForTimeout(1000);
  const scroll = "document.querySelector('[role=rowgroup]').scrollTop += given";
  console.log(`scrolling ${TRACKS} tracks, 5 rows a frame: ${describe(await frames(page, scroll, 300, 220))}`);
  console.log(`scrolling ${TRACKS} tracks, 100 rows a frame: ${describe(await frames(page, scroll, 60, 4400))}`);
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await context.close();
}

async function measureEditor(browser, state) {
  const { context, page } = await openWindow(browser, state);
  await page.goto(`${base}/tracks/${longTrack}`);
  const summary = page.getByText(/beats in .* bars/);
  await summary.waitFor({ state: "attached" });
  console.log(`editor: ${(await summary.textContent())?.split(" in ")[0]}`);
  await page.waitForFunction(() => document.querySelector("button[aria-label='Play']:not(:disabled)"), undefined, { timeout: 120_000 });
  const press = "dispatchEvent(new KeyboardEvent('keydown', { key: given[step % given.length], bubbles: true }))";
  const keys = (...list) => list;
  console.log(`zoom, a step each frame: ${describe(await frames(page, press, 120, keys("+", "+", "+", "+", "+", "+", "-", "-", "-", "-", "-", "-")))}`);
  console.log(`whole song and back: ${describe(await frames(page, press, 60, keys("0", "+", "+")))}`);
  console.log(`select and nudge, a step each frame: ${describe(await frames(page, press, 120, keys("ArrowRight", ".")))}`);
  await page.keyboard.press("Control+a");
  console.log(`nudge all beats, each frame: ${describe(await frames(page, press, 40, keys(".")))}`);
  await page.getByRole("button", { name: "Discard changes" }).click();
  const times = [];
  for (const name of ["Charts", "Graph", "Artefacts", "Notes", "History", "Similar", "Beats", "Charts", "Graph", "Artefacts", "Notes", "History", "Similar", "Beats"]) {
    times.push(await page.evaluate(async (label) => {
      const tab = [...document.querySelectorAll("[role=tab]")].find((each) => each.textContent === label);
      const began = performance.now();
      tab.click();
      const frame = () => new Promise(requestAnimationFrame);
      do await frame(); while (!document.querySelector("[role=tabpanel]")?.childElementCount || document.querySelector("[role=tabpanel] > .skeleton"));
      await frame();
      return performance.now() - began;
    }, name));
  }
  console.log(`tabs, the first time: ${describe(times.slice(0, 7))}`);
  console.log(`tabs, again: ${describe(times.slice(7))}`);
  await context.close();
}

async function measureFirstBeats(browser, state) {
  const times = [];
  for (let run = 0; run < 3; run++) {
    const { context, page } = await openWindow(browser, state);
    await page.goto(`${base}/tracks`);
    await page.waitForSelector("[role=grid], input[type=file]", { state: "attached" });
    await page.evaluate(() => {
      const marks = (globalThis.k1Marks = {});
      new MutationObserver(() => {
        const text = document.querySelector("section[aria-label=Uploads]")?.textContent ?? "";
        if (/waits for a worker|\d+ %.*≈|beats so far/.test(text) && !/ of .* MB/.test(text)) marks.ended ??= performance.now();
        if (text.includes("beats so far")) marks.beats ??= performance.now();
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await page.locator("input[type=file]").setInputFiles({ name: `bench ${run}.wav`, mimeType: "audio/wav", buffer: makeSong((Date.now() + run * 7919) % 100_000) });
    await page.waitForFunction(() => globalThis.k1Marks.beats, undefined, { timeout: 120_000 });
    times.push(await page.evaluate(() => globalThis.k1Marks.beats - globalThis.k1Marks.ended));
    await context.close();
  }
  console.log(`upload ended to first beats on the screen: ${describe(times)}`);
}

console.log(`load of the machine: ${loadavg().map((each) => each.toFixed(1)).join(", ")}`);
printSizes();
const browser = await startBrowser();
try {
  const state = await signIn(browser, link);
  await measureColdLoad(browser, state);
  await measureScrolling(browser, state);
  if (longTrack) await measureEditor(browser, state);
  await measureFirstBeats(browser, state);
} finally {
  await browser.close();
}
console.log(`load of the machine: ${loadavg().map((each) => each.toFixed(1)).join(", ")}`);
