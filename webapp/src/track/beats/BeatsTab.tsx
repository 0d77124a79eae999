import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { useUser } from "../../api/useSession";
import { useLive } from "../../live/useLive";
import { track as trackTexts } from "../../texts/track/track";
import { cx, ErrorState, panelId, Skeleton, tabId, toastDone, toastError, toastMessage } from "../../ui";
import { StripPreview } from "../player/StripPreview";
import { Transport } from "../player/Transport";
import { useEngineState } from "../player/useEngine";
import { beatSheet, waveform, type Version } from "../queries";
import type { Song } from "../useSong";
import { DetailCanvas } from "./canvas/DetailCanvas";
import { findOnset } from "./canvas/onset";
import { OverviewCanvas } from "./canvas/OverviewCanvas";
import { placesCached } from "./canvas/paint/paintBeats";
import type { PaintedSection } from "./canvas/paint/picture";
import { showPlayhead } from "./canvas/timeline";
import { CompareMenu } from "./comparison/CompareMenu";
import { ComparisonLegend } from "./comparison/ComparisonLegend";
import { useComparison } from "./comparison/useComparison";
import { jumpSection, runCommand, type CommandContext } from "./commands";
import type { Command } from "./keys";
import { nearestIndex, tempoAt, tempoOf, usualBarLength, wholeRange, type Operation } from "./model";
import { SaveBar } from "./SaveBar";
import { rangeOf, suggestedScope, type Scope } from "./scope";
import { SectionLegend } from "./SectionLegend";
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
  /** All versions of the track. */
  versions: readonly Version[];
  song: Song;
  mayEdit: boolean;
  /** False while another tab is shown: the edits stay, and the player goes on. */
  shown: boolean;
  /** The tab that is shown instead. */
  children: ReactNode;
}

/** The beat editor with the player and the strip: fetches the beats and shows them. */
export function BeatsTab(props: BeatsTabProps) {
  const { trackId, version, shown, children } = props;
  const sheet = useQuery({ ...beatSheet(trackId, version), placeholderData: (before) => before });
  if (sheet.data) return <Editor {...props} sheet={sheet.data} />;
  if (!shown) return children;
  if (sheet.isError) return <ErrorState error={sheet.error} onRetry={() => void sheet.refetch()} />;
  return <Skeleton className="m-3 h-96" />;
}

function Editor({ trackId, version, versions, song, sheet, mayEdit, shown, children }: BeatsTabProps & { sheet: BeatSheet }) {
  const { engine, onPlayhead, timeline } = song;
  const engineState = useEngineState(engine);
  const peaks = useQuery(waveform(trackId));
  const editor = useBeatEditor(trackId, sheet);
  const { state, dispatch } = editor;
  const { beats } = state.present;
  const [chosenScope, setChosenScope] = useState<{ scope: Scope; selection: ReadonlySet<number> } | null>(null);
  const [snapping, setSnapping] = useState(true);
  const [note, setNote] = useState("");
  const comparing = useComparison(trackId, version, beats, editor.newer);

  // A chosen scope holds as long as the selection; then the selection suggests another.
  const suggested = suggestedScope(state);
  const scope = chosenScope?.selection === state.present.selection ? chosenScope.scope : suggested;

  useEffect(() => engine.setClicks(beats), [engine, beats]);
  useShownPlayhead(song, !shown);
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

  const save = (): void => {
    if (!editor.dirty || editor.saving) return;
    editor.save(note).then((saved) => {
      if (saved === null) return;
      setNote("");
      toastDone(trackTexts.save.done(saved.version), { description: trackTexts.save.doneDetail(saved.f_measure.toFixed(2)) });
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
    save: () => save(),
  };
  const run = (command: Command): void => runCommand(command, context);
  useShortcuts(run, (command) => shown || PLAYS.has(command));

  const onRange = (make: (range: { first: number; last: number }) => Operation): void => {
    const range = rangeOf(scope, state, engine.positionMs());
    if (range !== null) dispatch({ type: "operate", operation: make(range) });
  };
  const take = ({ beatsMs, downbeatsMs }: Alternative): void =>
    dispatch({ type: "operate", operation: { kind: "replace", beatsMs, downbeatsMs } });

  const sections = useMemo(() => paintedSections(sheet), [sheet]);
  const describe = useCallback((ms: number) => describePlace(beats, ms), [beats]);
  const seek = useCallback((ms: number) => engine.seek(ms), [engine]);
  const pan = useCallback(() => {
    if (engine.state().playing) timeline.following.set(false);
  }, [engine, timeline]);
  const openSection = ({ startMs, endMs }: PaintedSection): void => {
    const ids = beats.filter(({ ms }) => ms >= startMs - 1 && ms < endMs - 1).map(({ id }) => id);
    dispatch({ type: "select", ids, focus: ids[0] ?? null });
    engine.seek(startMs);
  };
  const others = versions.filter((each) => each.version !== version && each.summary != null);
  const tempo = tempoOf(beats, rangeOf(scope, state, 0) ?? wholeRange(beats));
  const shared = { timeline, sections, comparison: comparing.shown?.marks ?? null, positionMs: engine.positionMs, onPlayhead, onSeek: seek, onPan: pan };

  return (
    <>
      <div id={panelId("beats")} role="tabpanel" aria-labelledby={tabId("beats")} hidden={!shown} className={cx("flex-1 flex-col bg-panel", shown && "flex")}>
      <SaveBar editor={editor} sheet={sheet} mayEdit={mayEdit} note={note} onNote={setNote} onCompare={comparing.chooseTheirs} onSave={save}>
        <CompareMenu comparing={comparing} versions={others} alternatives={sheet.alternatives} />
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
            <AlternativesMenu alternatives={sheet.alternatives} onTake={take} />
          </EditToolbar>
        </div>
      )}
      {comparing.shown && <ComparisonLegend comparison={comparing.shown} onClose={comparing.stop} />}
      <div className="h-12 shrink-0 border-b border-line bg-bg">
        <OverviewCanvas {...shared} peaks={wave.peaks} label={t.overview} describedBy={SUMMARY_ID} />
      </div>
      <div className="min-h-64 flex-1 basis-64 bg-bg">
        <DetailCanvas
          {...shared}
          wave={wave}
          editor={state}
          dispatch={dispatch}
          loop={engineState.loop}
          mayEdit={mayEdit}
          onSection={openSection}
          snap={snap}
          label={t.canvas}
          describedBy={SUMMARY_ID}
        />
      </div>
      <SectionLegend kinds={sections.map(({ kind }) => kind)} />
      <p id={SUMMARY_ID} className="sr-only">
        {summarise(state.present.selection.size, beats, tempo)}
      </p>
      </div>
      {children}
      <footer className="sticky bottom-0 z-10 mt-auto border-t border-line bg-panel">
        {shown && <StripPreview trackId={trackId} version={version} engine={engine} onPlayhead={onPlayhead} />}
        <Transport
          engine={engine}
          durationMs={sheet.durationMs}
          onPlayhead={onPlayhead}
          describe={describe}
          onSection={(by) => jumpSection({ engine, timeline, sections: sheet.sections }, by)}
          onLoop={() => run("loop")}
        />
      </footer>
    </>
  );
}

/** What keys do in every tab. */
const PLAYS: ReadonlySet<Command> = new Set(["play", "metronome", "loop"]);

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

/** Keeps the playhead in view when it moves, and only then: a view that someone has chosen stays. Charts are drawn anew
 * for each view, so behind them pages are turned. */
function useShownPlayhead({ engine, onPlayhead, timeline }: Song, byPages: boolean): void {
  useEffect(() => {
    let last = engine.positionMs();
    return onPlayhead((ms) => {
      if (ms !== last) showPlayhead(timeline, ms, engine.state().playing, byPages);
      last = ms;
    });
  }, [engine, onPlayhead, timeline, byPages]);
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
