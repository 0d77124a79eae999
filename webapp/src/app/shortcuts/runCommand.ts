import type { QueryClient } from "@tanstack/react-query";
import { openDeploy, targetOf } from "../../deploy/openDeploy";
import { runBatch } from "../../library/batch";
import { openUpload } from "../../upload/openUpload";
import { matchPath, navigate } from "../router";
import type { PageCommand } from "./pageKeys";

/** Returns the track that is open, where one is. */
export function openTrackId(path: string): string | undefined {
  return matchPath("/tracks/:trackId/:tab?", path)?.["trackId"];
}

/** The parameter of the address that lets the graph editor take the recommended graph. */
export const APPLY = "apply";

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
  if (command === "analyse" || command === "recommend") return mayEdit && openTrackId(path) !== undefined;
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
      if (trackId) void runBatch(context.queryClient, { action: "analyse" }, [trackId]);
      return;
    case "deploy":
      return openShownTrack();
    case "recommend":
      return applyRecommendation(trackId);
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

/** Goes to the graph of the open track, and takes the recommended one there: an edit, which is undone or saved. */
function applyRecommendation(trackId: string | undefined): void {
  if (trackId === undefined) return;
  const parameters = new URLSearchParams(location.search);
  parameters.set(APPLY, "recommendation");
  navigate(`/tracks/${trackId}/graph?${parameters.toString()}`);
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
