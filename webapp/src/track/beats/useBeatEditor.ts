import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { api, unwrap } from "../../api/client";
import { ApiError } from "../../api/errors";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { keepDraft, readDraft } from "./draft";
import { judge } from "./judge";
import { isDirty, openEditor, reduceEditor, type EditorAction, type EditorState } from "./model";
import { keepMarks, toBody, type BeatSheet } from "./sheet";

const DRAFT_AFTER_MS = 300;

type Saved = Schemas["BeatOverrideSaved"];

export interface BeatEditor {
  readonly state: EditorState;
  readonly dispatch: (action: EditorAction) => void;
  readonly dirty: boolean;
  readonly saving: boolean;
  /** Beats that someone else saved while there were edits here; null where there are none. */
  readonly newer: BeatSheet | null;
  /** Takes the newer beats in place of the edits. */
  readonly takeNewer: () => void;
  /** Keeps the edits; the next save goes on from the newer version. */
  readonly keepMine: () => void;
  /** Saves the beats; returns what was saved, or null where someone else saved before. Throws other errors. */
  readonly save: (note: string) => Promise<Saved | null>;
  /** Goes back to the automatic beats. */
  readonly removeOverride: () => Promise<Saved>;
}

/** Keeps the edits of a version's beats, and what is saved of them. */
export function useBeatEditor(trackId: string, sheet: BeatSheet): BeatEditor {
  const queryClient = useQueryClient();
  const [base, setBase] = useState(sheet);
  const [seen, setSeen] = useState(sheet);
  /** The version that was edited, after a save: its beats may be read once more before the page shows the new one. */
  const [outdated, setOutdated] = useState<number | null>(null);
  const [newer, setNewer] = useState<BeatSheet | null>(null);
  const [saving, setSaving] = useState(false);
  const [state, dispatch] = useReducer(reduceEditor, sheet, (first) => openWithDraft(trackId, first));
  const dirty = isDirty(state);

  useEffect(() => {
    if (sheet === seen) return;
    setSeen(sheet);
    if (sheet.version === outdated) return;
    setOutdated(null);
    const verdict = judge(sheet, base, state);
    if (verdict === "ignore") return;
    if (verdict === "offer") {
      setNewer(sheet);
      return;
    }
    const { durationMs } = sheet;
    if (verdict === "rebase") dispatch({ type: "rebase", beats: sheet.beats });
    else dispatch({ type: "load", beats: keepMarks(sheet.beats, state.present.beats), durationMs });
    setBase(sheet);
    setNewer(null);
  }, [sheet, seen, outdated, base, state]);

  useDraft(trackId, state, dirty);

  const takeNewer = useCallback(() => {
    if (newer === null) return;
    dispatch({ type: "load", beats: newer.beats, durationMs: newer.durationMs });
    setBase(newer);
    setNewer(null);
  }, [newer]);

  const keepMine = useCallback(() => {
    if (newer === null) return;
    dispatch({ type: "rebase", beats: newer.beats });
    setBase(newer);
    setNewer(null);
  }, [newer]);

  const save = async (note: string): Promise<Saved | null> => {
    const { beats } = state.present;
    setSaving(true);
    try {
      const params = { path: { track_id: trackId, version: base.version }, header: { "If-Match": quote(base.etag) } };
      const saved = await unwrap(
        api.POST("/tracks/{track_id}/versions/{version}/beat-override", { params, body: toBody(beats, note) }),
      );
      dispatch({ type: "saved", beats });
      setOutdated(base.version);
      setBase({ ...base, etag: saved.etag, version: saved.version });
      keepDraft(trackId, beats, null);
      return saved;
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) return null;
      throw error;
    } finally {
      setSaving(false);
      void queryClient.invalidateQueries({ queryKey: keys.tracks });
    }
  };

  const removeOverride = async (): Promise<Saved> => {
    const params = { path: { track_id: trackId, version: base.version }, header: { "If-Match": quote(base.etag) } };
    const removed = await unwrap(api.DELETE("/tracks/{track_id}/versions/{version}/beat-override", { params }));
    void queryClient.invalidateQueries({ queryKey: keys.tracks });
    return removed;
  };

  return { state, dispatch, dirty, saving, newer, takeNewer, keepMine, save, removeOverride };
}

/** Keeps what is not saved: a moment after each change, and at once when the page or the track is left. */
function useDraft(trackId: string, { present: { beats }, saved }: EditorState, dirty: boolean): void {
  const keep = useRef<() => void>(() => undefined);
  useEffect(() => {
    const isWorthKeeping = dirty || beats.some(({ locked, anchor }) => locked || anchor);
    keep.current = () => keepDraft(trackId, saved, isWorthKeeping ? beats : null);
    const timer = setTimeout(() => keep.current(), DRAFT_AFTER_MS);
    return () => clearTimeout(timer);
  }, [trackId, saved, dirty, beats]);
  useEffect(() => {
    const leave = (): void => keep.current();
    addEventListener("pagehide", leave);
    return () => {
      removeEventListener("pagehide", leave);
      leave();
    };
  }, []);
}

/** Return the editor with the edits that were not saved before the page was loaded again. */
function openWithDraft(trackId: string, sheet: BeatSheet): EditorState {
  const opened = openEditor(sheet.beats, sheet.durationMs);
  const draft = readDraft(trackId, sheet.beats);
  return draft === null ? opened : reduceEditor(opened, { type: "restore", beats: draft });
}

/** Return an entity tag as the header has it. */
function quote(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}
