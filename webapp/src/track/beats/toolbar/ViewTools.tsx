import { Keyboard, LocateFixed, MoveHorizontal, ScanSearch, UnfoldVertical, ZoomIn, ZoomOut } from "lucide-react";
import { showHelp } from "../../../app/shortcuts/runCommand";
import { track as trackTexts } from "../../../texts/track/track";
import { IconButton } from "../../../ui";
import { useStore } from "../canvas/store";
import { MAX_GAIN, MIN_GAIN, type Timeline } from "../canvas/timeline";
import type { Command } from "../keys";

const t = trackTexts.editor;

/** Zoom, height and following of the waveform. */
export function ViewTools({ timeline, run }: { timeline: Timeline; run: (command: Command) => void }) {
  const gain = useStore(timeline.gain);
  const following = useStore(timeline.following);
  return (
    <div className="flex items-center gap-1 max-md:gap-0">
      <label className="flex items-center gap-1 text-muted max-md:hidden" title={t.gain}>
        <UnfoldVertical size={14} aria-hidden />
        <span className="sr-only">{t.gain}</span>
        <input
          type="range"
          min={Math.log2(MIN_GAIN)}
          max={Math.log2(MAX_GAIN)}
          step={0.1}
          value={Math.log2(gain)}
          onChange={(event) => timeline.gain.set(2 ** Number(event.target.value))}
          className="h-1 w-16 accent-(--k1-accent-solid)"
        />
      </label>
      <IconButton size="sm" label={t.follow} active={following} onClick={() => timeline.following.set(!following)}>
        <LocateFixed size={14} aria-hidden />
      </IconButton>
      <IconButton size="sm" label={t.zoomOut} onClick={() => run("zoom_out")}>
        <ZoomOut size={15} aria-hidden />
      </IconButton>
      <IconButton size="sm" label={t.zoomIn} onClick={() => run("zoom_in")}>
        <ZoomIn size={15} aria-hidden />
      </IconButton>
      <IconButton size="sm" label={t.toSelection} onClick={() => run("zoom_selection")}>
        <ScanSearch size={15} aria-hidden />
      </IconButton>
      <IconButton size="sm" label={t.fit} onClick={() => run("zoom_fit")}>
        <MoveHorizontal size={15} aria-hidden />
      </IconButton>
      <IconButton size="sm" label={t.keys} onClick={showHelp} className="max-md:hidden">
        <Keyboard size={15} aria-hidden />
      </IconButton>
    </div>
  );
}
