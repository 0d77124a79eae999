import type { QueryClient } from "@tanstack/react-query";
import { openDeploy, targetOf } from "../../deploy/openDeploy";
import { openUpload } from "../../upload/openUpload";
import { matchPath, navigate } from "../router";
import type { PageCommand } from "./pageKeys";

/** Returns the track that is open, where one is. */
export function openTrackId(path: string): string | undefined {
  return matchPath("/tracks/:trackId/:tab?", path)?.["trackId"];
}

const HELP = "k1:shortcuts";
const PALETTE = "k1:palette";

/** Shows the keyboard shortcuts, from anywhere in the page. */
export const showHelp = (): void => void dispatchEvent(new Event(HELP));

/** Shows the command palette, from anywhere in the page. */
export const showPalette = (): void => void dispatchEvent(new Event(PALETTE));

/** Calls the listeners when somebody asks for the shortcuts or the palette; returns how to stop it. */
export function onShow(help: () => void, palette: () => void): () => void {
  addEventListener(HELP, help);
  addEventListener(PALETTE, palette);
  return () => {
    removeEventListener(HELP, help);
    removeEventListener(PALETTE, palette);
  };
}

export interface CommandContext {
  queryClient: QueryClient;
  mayEdit: boolean;
  mayDeploy: boolean;
}

/** Returns whether a command makes sense here: for this person, and on this page. */
export function isPossible(command: PageCommand, { mayEdit, mayDeploy }: CommandContext, path = location.pathname): boolean {
  if (command === "upload") return mayEdit;
  if (command === "analyse") return mayEdit && openTrackId(path) !== undefined;
  if (command === "deploy") return mayDeploy && openTrackId(path) !== undefined;
  return true;
}

/** Runs a command of every page. */
export function runCommand(command: PageCommand, context: CommandContext): void {
  const trackId = openTrackId(location.pathname);
  switch (command) {
    case "upload":
      return openUpload();
    case "analyse":
      if (trackId) void import("../../library/batch").then(({ runBatch }) => runBatch(context.queryClient, { action: "analyse" }, [trackId]));
      return;
    case "deploy":
      return openShownTrack();
    case "activity":
      return navigate("/activity");
    case "library":
      return navigate("/tracks");
    case "search":
      return focusSearch();
    case "help":
      return showHelp();
    case "palette":
      return showPalette();
  }
}

function openShownTrack(): void {
  const target = targetOf(location.pathname, new URLSearchParams(location.search));
  if (target) openDeploy(target);
}

/** Puts the cursor into the search of the library; goes there first where that is elsewhere. */
function focusSearch(): void {
  const field = document.getElementById("library-search");
  if (field?.offsetParent) return field.focus();
  navigate("/tracks");
  // The library is loaded lazily, and its field appears with it.
  let left = 60;
  const focus = () => {
    const loaded = document.getElementById("library-search");
    if (loaded) loaded.focus();
    else if (left-- > 0) requestAnimationFrame(focus);
  };
  requestAnimationFrame(focus);
}
