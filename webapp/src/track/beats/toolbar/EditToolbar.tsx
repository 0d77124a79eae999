import {
  Anchor,
  ArrowLeftToLine,
  ArrowRightToLine,
  ChevronLeft,
  ChevronRight,
  ChevronsLeft,
  ChevronsRight,
  Flag,
  Lock,
  Magnet,
  Plus,
  Redo2,
  Trash2,
  Undo2,
  UnfoldHorizontal,
} from "lucide-react";
import type { ReactNode } from "react";
import { track as trackTexts } from "../../../texts/track/track";
import { IconButton } from "../../../ui";
import { describeKeys, type Command } from "../keys";
import type { EditorState, Operation } from "../model";
import type { Scope } from "../scope";
import { Segments } from "./Segments";

const t = trackTexts.editor;
const IS_MAC = navigator.userAgent.includes("Mac");

export interface EditToolbarProps {
  state: EditorState;
  scope: Scope;
  onScope: (scope: Scope) => void;
  snapping: boolean;
  onSnapping: (snapping: boolean) => void;
  run: (command: Command) => void;
  /** Runs an operation on the range of the scope. */
  onRange: (make: (range: { first: number; last: number }) => Operation) => void;
  beatsPerBar: number;
  /** Panels that stand at the end of the row. */
  children: ReactNode;
}

/** The tools that change beats, in one row. */
export function EditToolbar({ state, scope, onScope, snapping, onSnapping, run, onRange, beatsPerBar, children }: EditToolbarProps) {
  const { selection, beats } = state.present;
  const chosen = beats.filter(({ id }) => selection.has(id));
  const none = chosen.length === 0;
  const tool = (command: Command, icon: ReactNode, disabled = false, active?: boolean): ReactNode => (
    <IconButton
      size="sm"
      label={`${typeof icon === "string" ? `${icon} ` : ""}${trackTexts.commands[command]} (${describeKeys(command, IS_MAC)})`}
      disabled={disabled}
      {...(active === undefined ? {} : { active })}
      onClick={() => run(command)}
      className="text-sm font-semibold"
    >
      {icon}
    </IconButton>
  );
  const shift = (label: string, icon: ReactNode, make: Parameters<typeof onRange>[0]): ReactNode => (
    <IconButton size="sm" label={label} onClick={() => onRange(make)}>
      {icon}
    </IconButton>
  );

  return (
    <div role="toolbar" aria-label={t.toolbar} className="relative flex min-h-10 flex-wrap items-center gap-x-0.5 gap-y-1 px-2 py-1 max-md:flex-nowrap max-md:overflow-x-auto max-md:*:shrink-0 max-md:[scrollbar-width:none]">
      {tool("undo", <Undo2 size={15} aria-hidden />, state.past.length === 0)}
      {tool("redo", <Redo2 size={15} aria-hidden />, state.future.length === 0)}
      <Divider />
      {tool("insert", <Plus size={15} aria-hidden />)}
      {tool("delete", <Trash2 size={15} aria-hidden />, none)}
      {tool("nudge_earlier", <ChevronLeft size={15} aria-hidden />, none)}
      {tool("nudge_later", <ChevronRight size={15} aria-hidden />, none)}
      {tool("lock", <Lock size={14} aria-hidden />, none, !none && chosen.every(({ locked }) => locked))}
      {tool("anchor", <Anchor size={14} aria-hidden />, none, !none && chosen.every(({ anchor }) => anchor))}
      {tool("fill", <UnfoldHorizontal size={15} aria-hidden />, chosen.length < 2)}
      <IconButton size="sm" label={t.snap} active={snapping} onClick={() => onSnapping(!snapping)}>
        <Magnet size={14} aria-hidden />
      </IconButton>
      <Divider />
      <Segments
        label={t.scope}
        selected={scope}
        onSelect={onScope}
        options={[
          { id: "all", label: t.scopes.all },
          { id: "from", label: t.scopes.from },
          { id: "selection", label: t.scopes.selection, disabled: none },
        ]}
      />
      {tool("half", t.half)}
      {tool("double", t.double)}
      {shift(t.shiftBack, <ChevronsLeft size={15} aria-hidden />, (range) => ({ kind: "shift_beats", range, byBeats: -0.5 }))}
      {shift(t.shiftOn, <ChevronsRight size={15} aria-hidden />, (range) => ({ kind: "shift_beats", range, byBeats: 0.5 }))}
      <Divider />
      {tool("set_downbeat", <Flag size={14} aria-hidden />)}
      {shift(t.barsBack, <ArrowLeftToLine size={14} aria-hidden />, (range) => ({ kind: "shift_bars", range, byBeats: -1 }))}
      {shift(t.barsOn, <ArrowRightToLine size={14} aria-hidden />, (range) => ({ kind: "shift_bars", range, byBeats: 1 }))}
      <select
        aria-label={t.meter}
        title={t.meter}
        value={beatsPerBar}
        onChange={(event) => {
          const meter = Number(event.target.value);
          onRange((range) => ({ kind: "set_meter", range, beatsPerBar: meter }));
          event.target.blur();
        }}
        className="touch-target h-7 rounded border border-line bg-bg px-1 text-xs"
      >
        {METERS.map((meter) => (
          <option key={meter} value={meter}>
            {meter}/4
          </option>
        ))}
        {!METERS.includes(beatsPerBar) && <option value={beatsPerBar}>{beatsPerBar}/4</option>}
      </select>
      <Divider />
      {children}
    </div>
  );
}

const METERS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];

function Divider() {
  return <span aria-hidden="true" className="mx-0.5 h-5 w-px shrink-0 bg-line" />;
}
