/**
 * Takes the pictures of docs/images from a running stack with some songs and devices: every page and state, at three
 * widths, in both themes. Files of an upload that is shown stay in the library.
 *
 *   node webapp/bench/pictures.mjs SIGN_IN_LINK TRACK_ID [FOLDER] [NAME ...]
 */
import { join } from "node:path";
import { signIn, startBrowser } from "./browser.mjs";
import { makeSong } from "./song.mjs";

const [link, track, folder = join(import.meta.dirname, "../../docs/images"), ...wanted] = process.argv.slice(2);
if (!link || !track) throw new Error("give the sign-in link that `k1 up` prints, and the id of a track");
const base = new URL(link).origin;
const DESKTOP = { width: 1440, height: 900, suffix: "" };
const TABLET = { width: 900, height: 1100, suffix: "-tablet" };
const PHONE = { width: 390, height: 844, suffix: "-phone" };
const ALL = [DESKTOP, TABLET, PHONE];
const TRACK = `/tracks/${track}`;

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
const press = (...keys) => async (page) => {
  await page.getByRole("grid").waitFor();
  for (const key of keys) await page.keyboard.press(key);
};
const openFirst = (name) => (page) => page.getByRole("link", { name }).first().click({ timeout: 5_000 });
const upload = async (page) => {
  await page.getByRole("grid").waitFor();
  // Another song for each width: one that is there already is not uploaded again.
  const song = (name, seed) => ({ name, mimeType: "audio/wav", buffer: makeSong(seed + page.viewportSize().width) });
  const text = { name: "set list.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("%PDF-1.7 no song at all".repeat(99)) };
  await page.locator("input[type=file]").setInputFiles([song("First light.wav", 11), song("Undertow.wav", 29), text]);
  await page.getByText("beats so far").first().waitFor({ timeout: 60_000 });
};
const select = async (page) => {
  const rows = page.getByRole("row");
  for (const index of [1, 2]) await rows.nth(index).getByRole("checkbox").check();
};
const palette = async (page) => {
  await press("Control+k")(page);
  await page.getByPlaceholder("Track, page or command").fill("a");
};
const compareVersions = async (page) => {
  await page.getByRole("button", { name: "Compare versions" }).click();
  await page.getByRole("dialog").locator("p", { hasText: "moved" }).first().waitFor();
};
const compareBeats = async (page) => {
  await page.getByRole("status", { name: /^How the beats differ/ }).waitFor();
  const song = page.getByRole("img", { name: "The whole song" });
  const { width } = await song.boundingBox();
  await song.click({ position: { x: 0.26 * width, y: 24 } });
};
const showChanges = (page) => page.getByRole("heading", { name: "Against the recommendation" }).scrollIntoViewIfNeeded();
const showHistory = async (page) => {
  await openFirst(/demo-0001/)(page);
  const history = page.getByRole("region", { name: "History" });
  await history.getByRole("img", { name: "Signal" }).waitFor();
  await history.evaluate((element) => element.scrollIntoView());
};
const offline = async (page) => {
  await page.getByRole("grid").waitFor();
  await page.context().setOffline(true);
  await page.getByRole("status", { name: "Reconnecting" }).waitFor({ timeout: 60_000 });
};

/** Name, address, widths, what is done before the picture; without `themes` in the dark theme alone. */
const PICTURES = [
  { name: "sign-in", path: "/sign-in", sizes: ALL, themes: true, signedOut: true },
  { name: "library", path: "/tracks", sizes: ALL, themes: true },
  { name: "library-empty", path: "/tracks?q=nothing+like+this", sizes: [DESKTOP] },
  { name: "library-selected", path: "/tracks", sizes: [DESKTOP], act: select },
  { name: "track", path: TRACK, sizes: ALL, themes: true, act: play },
  { name: "charts", path: `${TRACK}/charts`, sizes: ALL },
  { name: "graph", path: `${TRACK}/graph`, sizes: ALL },
  { name: "graph-changes", path: `${TRACK}/graph`, sizes: [DESKTOP, PHONE], act: showChanges },
  { name: "compare", path: TRACK, sizes: [DESKTOP, PHONE], act: compareVersions },
  { name: "compare-beats", path: `${TRACK}/beats?with=1`, sizes: [DESKTOP, PHONE], act: compareBeats },
  { name: "drift", path: `${TRACK}/drift`, sizes: ALL, themes: true },
  { name: "artefacts", path: `${TRACK}/artefacts`, sizes: ALL },
  { name: "notes", path: `${TRACK}/notes`, sizes: [DESKTOP] },
  { name: "history", path: `${TRACK}/history`, sizes: [DESKTOP, PHONE] },
  { name: "similar", path: `${TRACK}/similar`, sizes: [DESKTOP] },
  { name: "deploy", path: TRACK, sizes: ALL, act: deploy },
  { name: "deployments", path: "/deployments", sizes: ALL, act: openFirst(/v\d/) },
  { name: "devices", path: "/devices", sizes: ALL, themes: true, act: openFirst(/demo-0001/) },
  { name: "device-history", path: "/devices", sizes: ALL, themes: true, act: showHistory },
  { name: "fleet", path: "/fleet", sizes: [DESKTOP, PHONE] },
  { name: "alarms", path: "/alarms", sizes: [DESKTOP, PHONE] },
  { name: "activity", path: "/activity", sizes: ALL, themes: true },
  { name: "shortcuts", path: "/tracks", sizes: [DESKTOP], act: press("?") },
  { name: "palette", path: "/tracks", sizes: [DESKTOP], act: palette },
  { name: "profile", path: "/profile", sizes: [DESKTOP, PHONE] },
  { name: "keys", path: "/profile/keys", sizes: [DESKTOP, PHONE] },
  { name: "users", path: "/users", sizes: [DESKTOP, PHONE] },
  { name: "missing", path: "/tracks/trk_01M8HDB324YSBFEXDJTA08Z61Z", sizes: [DESKTOP] },
  { name: "reconnecting", path: "/tracks", sizes: [DESKTOP], act: offline },
  { name: "upload", path: "/tracks", sizes: [DESKTOP, PHONE], act: upload },
];

async function take(browser, state, { name, path, act, signedOut }, size, theme) {
  const { suffix, ...viewport } = size;
  const context = await browser.newContext({ ...(signedOut ? {} : { storageState: state }), viewport, hasTouch: size === PHONE });
  await context.addInitScript((chosen) => localStorage.setItem("k1.theme", chosen), theme);
  const page = await context.newPage();
  await page.goto(base + path);
  await page.waitForTimeout(2_000);
  await act?.(page);
  await page.waitForTimeout(1_200);
  const file = `web-${name}${suffix}${theme === "light" ? "-light" : ""}.png`;
  await page.screenshot({ path: join(folder, file) });
  console.log(file);
  await context.close();
}

const browser = await startBrowser();
try {
  const state = await signIn(browser, link);
  for (const picture of PICTURES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    for (const size of picture.sizes) {
      await take(browser, state, picture, size, "dark");
      if (picture.themes && size !== TABLET) await take(browser, state, picture, size, "light");
    }
  }
} finally {
  await browser.close();
}
