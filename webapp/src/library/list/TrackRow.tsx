import { MoreHorizontal } from "lucide-react";
import { memo, type MouseEvent } from "react";
import { formatAgo, formatDuration, formatTime } from "../../app/format";
import { LOW_F_MEASURE } from "../filters";
import type { TrackSummary } from "../../api/types";
import { library as t } from "../../texts/library";
import { common } from "../../texts/common";
import { Badge } from "../../ui/Badge";
import { IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Checkbox } from "../../ui/Field";
import { Skeleton } from "../../ui/states";
import { InlineTitle } from "./InlineTitle";
import { RowState } from "./RowState";
import { StatusMark } from "./StatusMark";

export const ROW_HEIGHT = 44;

/** The columns by the width of the list itself: beside the details it is narrow. */
export const GRID =
  "grid items-center gap-x-3 px-3 grid-cols-[1rem_1rem_minmax(0,1fr)_auto] " +
  "@2xl:grid-cols-[1rem_1rem_minmax(0,2fr)_3.5rem_3rem_3rem_minmax(0,7rem)_minmax(0,1fr)_5rem_2rem]";
export const WIDE = "hidden @2xl:block";
export const NARROW = "@2xl:hidden";

export interface TrackRowProps {
  index: number;
  track: TrackSummary | undefined;
  isActive: boolean;
  isOpen: boolean;
  isSelected: boolean;
  isEditing: boolean;
  /** Where it stands in the list, in pixels. */
  top: number;
  mayEdit: boolean;
  onClick: (index: number, event: MouseEvent) => void;
  onToggle: (index: number) => void;
  onHover: (track: TrackSummary) => void;
  onMenu: (track: TrackSummary, button: HTMLElement) => void;
  onEdit: (trackId: string | undefined) => void;
}

/** One track of the list. While the list is scrolled, the rows that stay are not rendered again. */
export const TrackRow = memo(function TrackRow(props: TrackRowProps) {
  const { index, track, isActive, isOpen, isSelected, top } = props;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      id={`row-${index}`}
      data-row={index}
      tabIndex={isActive ? 0 : -1}
      onClick={(event) => props.onClick(index, event)}
      onDoubleClick={() => props.mayEdit && track && track.status !== "deleted" && props.onEdit(track.id)}
      onMouseEnter={() => track && props.onHover(track)}
      style={{ height: ROW_HEIGHT, transform: `translateY(${top}px)` }}
      className={cx(
        GRID,
        "absolute inset-x-0 top-0 cursor-default contain-strict border-b border-line/60 -outline-offset-2 select-none",
        isOpen ? "bg-accent-soft" : isSelected ? "bg-hover" : "hover:bg-raised",
      )}
    >
      {track ? <Cells {...props} track={track} /> : <WaitingCells />}
    </div>
  );
});

function Cells({ track, isSelected, isEditing, mayEdit, index, onToggle, onMenu, onEdit }: TrackRowProps & { track: TrackSummary }) {
  const { f_measure: fMeasure, duration_ms: duration } = track;
  const number = "text-right tabular-nums";
  return (
    <>
      <span role="gridcell" className="flex">
        <Checkbox
          label={t.selectTrack(track.title)}
          checked={isSelected}
          onChange={() => onToggle(index)}
          onClick={(event) => event.stopPropagation()}
          tabIndex={-1}
        />
      </span>
      <span role="gridcell" className="flex">
        <StatusMark status={track.status} />
      </span>
      <span role="gridcell" className="min-w-0">
        {isEditing ? <InlineTitle track={track} onDone={() => onEdit(undefined)} /> : <span className="block truncate font-medium">{track.title}</span>}
        <RowState track={track} mayEdit={mayEdit} />
      </span>
      <span role="gridcell" className={cx(NARROW, number, "text-xs leading-4 text-muted")}>
        <span className="block text-soft">{track.bpm ? `${track.bpm.toFixed(1)} BPM` : ""}</span>
        <span className="block">{duration ? formatDuration(duration) : ""}</span>
      </span>
      <span role="gridcell" className={cx(WIDE, number)}>{track.bpm ? track.bpm.toFixed(1) : <None />}</span>
      <span role="gridcell" className={cx(WIDE, number)}>
        {fMeasure == null ? (
          <None />
        ) : (
          <span className={fMeasure < LOW_F_MEASURE ? "text-warn" : ""} title={fMeasure < LOW_F_MEASURE ? t.lowFMeasure : undefined}>
            {fMeasure.toFixed(2)}
          </span>
        )}
      </span>
      <span role="gridcell" className={cx(WIDE, number)}>{duration ? formatDuration(duration) : <None />}</span>
      <span role="gridcell" className={cx(WIDE, "truncate text-soft")}>{track.preset ? t.presets[track.preset] : <None />}</span>
      <span role="gridcell" className={cx(WIDE, "min-w-0 overflow-hidden")}>
        <span className="flex gap-1">{track.tags.map((tag) => <Badge key={tag}>{tag}</Badge>)}</span>
      </span>
      <span role="gridcell" className={cx(WIDE, "truncate text-right text-xs text-muted")} title={formatTime(track.updated_at)}>
        {formatAgo(track.updated_at)}
      </span>
      <span role="gridcell" className={cx(WIDE, "flex")}>
        <IconButton
          size="sm"
          label={t.trackActions(track.title)}
          tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            onMenu(track, event.currentTarget);
          }}
        >
          <MoreHorizontal size={15} aria-hidden />
        </IconButton>
      </span>
    </>
  );
}

function None() {
  return <span className="text-muted">{common.noValue}</span>;
}

/** The cells of a row that is on its way. */
export function WaitingCells() {
  return (
    <>
      <span role="gridcell" />
      <span role="gridcell"><Skeleton still className="size-3.5 rounded-full" /></span>
      <span role="gridcell" className="flex flex-col gap-1.5">
        <span className="sr-only">{common.loading}</span>
        <Skeleton still className="h-3 w-2/5" />
        <Skeleton still className="h-2.5 w-1/4" />
      </span>
    </>
  );
}
