/**
 * Measures the memory of the page over an hour's worth of telemetry, compressed in time, in Chromium.
 *
 *   node webapp/bench/memory.mjs SIGN_IN_LINK
 *
 * The readings are real: they come from devices that play, over the event connection of the page. Four devices send
 * 144,000 readings in an hour, ten a second each; run more of them, for example 40 with
 * `./k1 sim --devices 40 --factory`, and the same number comes in six minutes. The page of one device is open, so the
 * readings of all devices arrive, and are drawn in the list and in the charts.
 */
import { openWindow, signIn, startBrowser } from "./browser.mjs";

const [link] = process.argv.slice(2);
if (!link) throw new Error("give the sign-in link that `k1 up` prints");
const base = new URL(link).origin;
const HOUR_OF_FOUR = 4 * 10 * 3600;
const LOOKS = 12;

const browser = await startBrowser();
try {
  const { context, page } = await openWindow(browser, await signIn(browser, link));
  let readings = 0;
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      readings += String(payload).split('"device.reading"').length - 1;
    });
  });
  await page.goto(`${base}/devices`);
  const first = page.getByRole("list", { name: "Devices" }).getByRole("link").first();
  await first.waitFor();
  await first.click();
  await page.getByRole("region", { name: "Drift" }).waitFor();
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const began = Date.now();
  for (let look = 0; look <= LOOKS; look++) {
    while (readings < (look * HOUR_OF_FOUR) / LOOKS) await page.waitForTimeout(200);
    await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    const value = (name) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
    const heap = (value("JSHeapUsedSize") / 1e6).toFixed(1);
    console.log(`${readings} readings after ${Math.round((Date.now() - began) / 1000)} s: heap ${heap} MB, ${value("Nodes")} nodes, ${value("JSEventListeners")} listeners`);
  }
} finally {
  await browser.close();
}
