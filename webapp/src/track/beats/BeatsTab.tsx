import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useMay, useUser } from "../../api/useSession";
import { useLive } from "../../live/useLive";
import { track as trackTexts } from "../../texts/track";
import { ErrorState, Skeleton, toastDone, toastError, toastMessage } from "../../ui";
import { StripPreview } from "../player/StripPreview";
import { Transport } from "../player/Transport";
import { useEngine, useEngineState } from "../player/useEngine";
import { usePlayhead } from "../player/usePlayhead";
import { beatSheet, waveform } from "../queries";
import { DetailCanvas } from "./canvas/DetailCanvas";
import { findOnset } from "./canvas/onset";
import { OverviewCanvas } from "./canvas/OverviewCanvas";
import { placesCached } from "./canvas/paint/paintBeats";
import type { PaintedSection } from "./canvas/paint/picture";
import { showPlayhead, type Timeline } from "./canvas/timeline";
import { jumpSection, runCommand, type CommandContext } from "./commands";
import type { Command } from "./keys";
import { nearestIndex, tempoAt, tempoOf, usualBarLength, wholeRange, type Operation } from "./model";
import { SaveBar } from "./SaveBar";
import { rangeOf, suggestedScope, type Scope } from "./scope";
import type { Alternative, BeatSheet } from "./sheet";
import { AlternativesMenu } from "./toolbar/AlternativesMenu";
import { EditToolbar } from "./toolbar/EditToolbar";
import { TempoPanel } from "./toolbar/TempoPanel";
import { ViewTools } from "./toolbar/ViewTools";
import { useBeatEditor } from "./useBeatEditor";
import { useShortcuts } from "./useShortcuts";
import { useTap } from "./useTap";

const t = trackTexts.editor;
const SUMMARY_ID = "beat-summary";

export interface BeatsTabProps {
  trackId: string;
  version: number;
  timeline: Timeline;
}

/** The beat editor with the player and the strip: fetches the beats and shows them. */
export function BeatsTab({ trackId, version, timeline }: BeatsTabProps) {
  const sheet = useQuery({ ...beatSheet(trackId, version), placeholderData: (before) => before });
  if (sheet.isError) return <ErrorState error={sheet.error} onRetry={() => void sheet.refetch()} />;
  if (!sheet.data) return <Skeleton className="m-3 h-96" />;
  return <Editor trackId={trackId} version={version} timeline={timeline} sheet={sheet.data} />;
}

function Editor({ trackId, version, timeline, sheet }: BeatsTabProps & { sheet: BeatSheet }) {
  const mayEdit = useMay("editor");
  const engine = useEngine(trackId);
  const engineState = useEngineState(engine);
  const onPlayhead = usePlayhead(engine);
  const peaks = useQuery(waveform(trackId));
  const editor = useBeatEditor(trackId, sheet);
  const { state, dispatch } = editor;
  const { beats } = state.present;
  const [chosenScope, setChosenScope] = useState<{ scope: Scope; selection: ReadonlySet<number> } | null>(null);
  const [snapping, setSnapping] = useState(true);
  const [compared, setCompared] = useState<Alternative | null>(null);
  const [theirs, setTheirs] = useState<readonly number[]>([]);

  // A chosen scope holds as long as the selection; then the selection suggests another.
  const suggested = suggestedScope(state);
  const scope = chosenScope?.selection === state.present.selection ? chosenScope.scope : suggested;

  useEffect(() => engine.setClicks(beats), [engine, beats]);
  useEffect(
    () => onPlayhead((ms) => showPlayhead(timeline, ms, engine.state().playing)),
    [onPlayhead, timeline, engine],
  );
  useLeaveWarning(editor.dirty);
  useArrivals(trackId, editor.dirty);

  const samples = useMemo(
    () => (engineState.status === "ready" ? { channels: engine.channels(), sampleRate: engine.sampleRate } : null),
    [engine, engineState.status],
  );
  const wave = useMemo(() => ({ peaks: peaks.data ?? null, samples }), [peaks.data, samples]);
  const snap = useCallback(
    (ms: number, reachMs: number): number | null =>
      snapping && samples !== null ? findOnset(samples.channels, samples.sampleRate, ms, reachMs) : null,
    [snapping, samples],
  );
  const nowMs = useCallback(() => (engine.state().playing ? engine.positionMs() : performance.now()), [engine]);
  const tapping = useTap(nowMs);

  const save = (note: string): void => {
    if (!editor.dirty || editor.saving) return;
    editor.save(note).then((saved) => {
      if (saved) toastDone(trackTexts.save.done(saved.version), { description: trackTexts.save.doneDetail(saved.f_measure.toFixed(2)) });
    }, toastError);
  };
  const context: CommandContext = {
    state,
    dispatch,
    engine,
    timeline,
    scope,
    mayEdit,
    sections: sheet.sections,
    snap: (ms) => snap(ms, 30) ?? ms,
    tap: tapping.tap,
    save: () => save(""),
  };
  const run = (command: Command): void => runCommand(command, context);
  useShortcuts(run, true);

  const onRange = (make: (range: { first: number; last: number }) => Operation): void => {
    const range = rangeOf(scope, state, engine.positionMs());
    if (range !== null) dispatch({ type: "operate", operation: make(range) });
  };
  const take = ({ beatsMs, downbeatsMs }: Alternative): void =>
    dispatch({ type: "operate", operation: { kind: "replace", beatsMs, downbeatsMs } });

  const sections = useMemo(() => paintedSections(sheet), [sheet]);
  const describe = useCallback((ms: number) => describePlace(beats, ms), [beats]);
  const seek = useCallback((ms: number) => engine.seek(ms), [engine]);
  const openSection = ({ startMs, endMs }: PaintedSection): void => {
    const ids = beats.filter(({ ms }) => ms >= startMs - 1 && ms < endMs - 1).map(({ id }) => id);
    dispatch({ type: "select", ids, focus: ids[0] ?? null });
    engine.seek(startMs);
  };
  const tempo = tempoOf(beats, rangeOf(scope, state, 0) ?? wholeRange(beats));
  const shared = { timeline, sections, positionMs: engine.positionMs, onPlayhead, onSeek: seek };

  return (
    <section aria-label={t.region} className="flex min-h-0 flex-col bg-panel">
      <SaveBar editor={editor} sheet={sheet} mayEdit={mayEdit} onCompare={setTheirs} onSave={save}>
        <ViewTools timeline={timeline} run={run} />
      </SaveBar>
      {mayEdit && (
        <div className="border-b border-line">
          <EditToolbar
            state={state}
            scope={scope}
            onScope={(chosen) => setChosenScope({ scope: chosen, selection: state.present.selection })}
            snapping={snapping}
            onSnapping={setSnapping}
            run={run}
            onRange={onRange}
            beatsPerBar={usualBarLength(beats)}
          >
            <TempoPanel
              bpm={tempo}
              tapping={tapping}
              scope={t.scopes[scope]}
              disabled={beats.length < 2}
              onApply={(bpm) => onRange((range) => ({ kind: "set_tempo", range, bpm }))}
            />
            <AlternativesMenu alternatives={sheet.alternatives} compared={compared} mayEdit={mayEdit} onTake={take} onCompare={setCompared} />
          </EditToolbar>
        </div>
      )}
      <div className="h-12 shrink-0 border-b border-line bg-bg">
        <OverviewCanvas {...shared} peaks={wave.peaks} label={t.overview} />
      </div>
      <div className="h-72 shrink-0 bg-bg max-md:h-60">
        <DetailCanvas
          {...shared}
          wave={wave}
          editor={state}
          dispatch={dispatch}
          compared={theirs.length > 0 && editor.newer ? theirs : (compared?.beatsMs ?? NONE)}
          loop={engineState.loop}
          mayEdit={mayEdit}
          onSection={openSection}
          snap={snap}
          label={t.canvas}
          describedBy={SUMMARY_ID}
        />
      </div>
      <p id={SUMMARY_ID} className="sr-only">
        {summarise(state.present.selection.size, beats, tempo)}
      </p>
      <StripPreview trackId={trackId} version={version} engine={engine} onPlayhead={onPlayhead} />
      <div className="border-y border-line">
        <Transport
          engine={engine}
          durationMs={sheet.durationMs}
          onPlayhead={onPlayhead}
          describe={describe}
          onSection={(by) => jumpSection({ engine, timeline, sections: sheet.sections }, by)}
          onLoop={() => run("loop")}
        />
      </div>
    </section>
  );
}

const NONE: readonly number[] = [];

function paintedSections({ sections }: BeatSheet): PaintedSection[] {
  return sections.map(({ start_ms, end_ms, label, energy }) => ({
    startMs: start_ms,
    endMs: end_ms,
    name: t.sections[label],
    kind: label,
    energy,
  }));
}

function summarise(selected: number, beats: BeatSheet["beats"], tempo: number | null): string {
  if (beats.length === 0) return t.noBeats;
  const bars = beats.filter(({ downbeat }) => downbeat).length;
  const locked = beats.filter((beat) => beat.locked).length;
  return t.summary(beats.length, bars, tempo === null ? "–" : tempo.toFixed(1), selected, locked);
}

function describePlace(beats: BeatSheet["beats"], ms: number): { place: string; bpm: string } {
  const nearest = nearestIndex(beats, ms);
  if (nearest === null) return { place: "", bpm: "" };
  const index = (beats[nearest]?.ms ?? 0) > ms + 1 ? Math.max(0, nearest - 1) : nearest;
  const place = placesCached(beats)[index];
  const bpm = tempoAt(beats, index);
  return { place: place ? t.place(place.bar, place.beat) : "", bpm: bpm === null ? "" : `${bpm.toFixed(1)} BPM` };
}

/** Asks before the page is closed with changes that are not saved. They also survive a reload. */
function useLeaveWarning(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) return undefined;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [dirty]);
}

/** Says that beats of someone else have arrived. The page reads them because the event marks the queries as stale. */
function useArrivals(trackId: string, dirty: boolean): void {
  const { id } = useUser();
  const isDirty = useRef(dirty);
  useEffect(() => {
    isDirty.current = dirty;
  });
  useLive(`track:${trackId}`, (event) => {
    if (event.type !== "beats_updated" || event.data.author.id === id || isDirty.current) return;
    toastMessage(trackTexts.save.arrived(event.data.author.name));
  });
}
