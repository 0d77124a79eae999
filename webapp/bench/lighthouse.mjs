/**
 * Runs Lighthouse on pages of a running stack, signed in, and prints the scores and the figures behind them.
 *
 *   npm install --prefix .cache/lighthouse lighthouse
 *   node webapp/bench/lighthouse.mjs SIGN_IN_LINK TRACK_ID [FOLDER of the package; .cache/lighthouse]
 *
 * Lighthouse is no dependency of the page. Mobile is its default: a slow 4G and a CPU that is four times slower.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { FLAGS, PROGRAM } from "./browser.mjs";

const [link, track, folder = join(import.meta.dirname, "../../.cache/lighthouse")] = process.argv.slice(2);
if (!link || !track) throw new Error("give the sign-in link that `k1 up` prints, and the id of a track");
const { default: lighthouse, desktopConfig } = await import(pathToFileURL(resolve(folder, "node_modules/lighthouse/core/index.js")).href);
const base = new URL(link).origin;
const CATEGORIES = ["performance", "accessibility", "best-practices"];
const PAGES = ["/tracks", `/tracks/${track}`, "/devices", "/activity"];

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function look(path, port, form) {
  const flags = { port, onlyCategories: CATEGORIES, disableStorageReset: true, logLevel: "error" };
  const { lhr } = await lighthouse(base + path, flags, form === "desktop" ? desktopConfig : undefined);
  const scores = CATEGORIES.map((name) => `${name} ${Math.round(100 * lhr.categories[name].score)}`);
  const figures = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift"].map((name) => `${name} ${lhr.audits[name].displayValue}`);
  console.log(`${form} ${path.replace(track, "TRACK")}: ${scores.join(", ")}; ${figures.join(", ")}`);
  const failed = CATEGORIES.slice(1).flatMap((name) => lhr.categories[name].auditRefs.map(({ id }) => lhr.audits[id])).filter(({ score }) => score !== null && score < 1);
  for (const { id, title } of failed) console.log(`  ${id}: ${title}`);
}

const port = await freePort();
const profile = mkdtempSync(join(tmpdir(), "k1-lighthouse-"));
const context = await chromium.launchPersistentContext(profile, { executablePath: PROGRAM, args: [...FLAGS, `--remote-debugging-port=${port}`] });
try {
  for (const form of ["desktop", "mobile"]) await look("/sign-in", port, form);
  const page = await context.newPage();
  await page.goto(link);
  await page.waitForURL("**/tracks");
  await page.goto("about:blank");
  for (const path of PAGES) for (const form of ["desktop", "mobile"]) await look(path, port, form);
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
