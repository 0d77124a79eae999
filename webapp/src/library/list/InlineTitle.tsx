import { useEffect, useRef, type KeyboardEvent } from "react";
import { useEditTrack } from "../../api/editTrack";
import type { TrackSummary } from "../../api/types";
import { library as t } from "../../texts/library";

/** Edits the title in its row: Enter or leaving saves, Esc does not. */
export function InlineTitle({ track, onDone }: { track: TrackSummary; onDone: () => void }) {
  const edit = useEditTrack();
  const input = useRef<HTMLInputElement>(null);
  const isDone = useRef(false);
  useEffect(() => input.current?.select(), []);

  const finish = (save: boolean) => {
    if (isDone.current) return;
    isDone.current = true;
    const title = input.current?.value.trim() ?? "";
    if (save && title !== "" && title !== track.title) edit.mutate({ trackId: track.id, patch: { title } });
    onDone();
  };
  const press = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === "Escape") finish(event.key === "Enter");
  };
  return (
    <input
      ref={input}
      aria-label={t.titleOf(track.title)}
      defaultValue={track.title}
      maxLength={500}
      onKeyDown={press}
      onBlur={() => finish(true)}
      onClick={(event) => event.stopPropagation()}
      className="-ml-1 block h-5 w-full rounded-sm border border-accent bg-bg px-1 font-medium"
    />
  );
}
