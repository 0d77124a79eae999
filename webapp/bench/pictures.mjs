/**
 * Takes the pictures of docs/web.md from a running stack with some songs and devices.
 *
 *   node webapp/bench/pictures.mjs SIGN_IN_LINK TRACK_ID [FOLDER]
 */
import { join } from "node:path";
import { signIn, startBrowser } from "./browser.mjs";

const [link, track, folder = join(import.meta.dirname, "../../docs/images")] = process.argv.slice(2);
if (!link || !track) throw new Error("give the sign-in link that `k1 up` prints, and the id of a track");
const base = new URL(link).origin;
const DESKTOP = { width: 1440, height: 900 };
const TABLET = { width: 900, height: 1100 };
const PHONE = { width: 390, height: 844 };

const play = async (page) => {
  await page.locator("button[aria-label='Play']:not(:disabled)").waitFor({ timeout: 60_000 });
  for (const key of ["+", "+", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"]) await page.keyboard.press(key);
  await page.keyboard.press("Space");
  await page.waitForTimeout(6_500);
};
const deploy = async (page) => {
  await page.getByRole("heading", { level: 1 }).first().waitFor();
  await page.keyboard.press("d");
  await page.getByRole("button", { name: "All compatible" }).click();
  await page.getByText(/^Ready: /).waitFor({ timeout: 20_000 });
};
const help = async (page) => {
  await page.getByRole("grid").waitFor();
  await page.keyboard.press("?");
};

const PICTURES = [
  ["library", "/tracks", DESKTOP],
  ["track", `/tracks/${track}`, DESKTOP, play],
  ["charts", `/tracks/${track}/charts`, DESKTOP],
  ["graph", `/tracks/${track}/graph`, DESKTOP],
  ["artefacts", `/tracks/${track}/artefacts`, DESKTOP],
  ["deploy", `/tracks/${track}`, DESKTOP, deploy],
  ["deployments", "/deployments", DESKTOP, (page) => page.getByRole("link", { name: /v\d/ }).first().click({ timeout: 5_000 }).catch(() => undefined)],
  ["devices", "/devices", DESKTOP, (page) => page.getByRole("link", { name: /demo-0001/ }).first().click({ timeout: 5_000 }).catch(() => undefined)],
  ["activity", "/activity", DESKTOP],
  ["shortcuts", "/tracks", DESKTOP, help],
  ["keys", "/profile/keys", DESKTOP],
  ["track", `/tracks/${track}`, TABLET, play],
  ["library", "/tracks", PHONE],
  ["track", `/tracks/${track}`, PHONE, play],
  ["activity", "/activity", PHONE],
];
/** The pictures that are taken in the light theme too. */
const LIGHT = new Set(["track", "library", "devices"]);

const browser = await startBrowser();
try {
  const state = await signIn(browser, link);
  for (const [name, path, viewport, act] of PICTURES) {
    for (const theme of viewport === DESKTOP && LIGHT.has(name) ? ["dark", "light"] : ["dark"]) {
      const context = await browser.newContext({ storageState: state, viewport, hasTouch: viewport === PHONE });
      await context.addInitScript((chosen) => localStorage.setItem("k1.theme", chosen), theme);
      const page = await context.newPage();
      await page.goto(base + path);
      await page.waitForTimeout(2_000);
      await act?.(page);
      await page.waitForTimeout(1_200);
      const width = { [DESKTOP.width]: "", [TABLET.width]: "-tablet", [PHONE.width]: "-phone" }[viewport.width];
      const file = `web-${name}${width}${theme === "light" ? "-light" : ""}.png`;
      await page.screenshot({ path: join(folder, file) });
      console.log(file);
      await context.close();
    }
  }
} finally {
  await browser.close();
}
