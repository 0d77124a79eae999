const RELOADED = "k1.reloaded";
const AT_MOST_EVERY_MS = 30_000;

/**
 * Loads the page again after its code could not be loaded: after an update of the server the files of the older page
 * are gone. Does nothing where the server does not answer, because then the browser would have no page at all.
 */
export async function reloadAfterUpdate(): Promise<void> {
  if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < AT_MOST_EVERY_MS) return;
  const answer = await fetch(location.origin, { method: "HEAD" }).catch(() => undefined);
  if (!answer?.ok) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}
