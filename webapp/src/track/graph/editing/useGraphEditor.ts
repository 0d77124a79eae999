import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useReducer, useState } from "react";
import { api, unwrap, unwrapTagged, type Tagged } from "../../../api/client";
import { ApiError } from "../../../api/errors";
import { keys } from "../../../api/queries";
import { setSearch } from "../../../app/router";
import { graph as t } from "../../../texts/track/graph";
import { toastDone, toastError } from "../../../ui";
import { sameGraph } from "../model/diff";
import type { GraphDocument, NodeTypes } from "../model/document";
import { openHistory, reduceHistory, type GraphAction, type GraphHistory } from "../model/history";
import { graphOf } from "../queries";
import { runOf, type Trial } from "../reports";

/** Edits that are not saved, by track and version: they stay while other tabs or tracks are shown. */
const kept = new Map<string, { history: GraphHistory; trial: Trial | null }>();

export interface GraphEditor {
  readonly state: GraphHistory;
  readonly dispatch: (action: GraphAction) => void;
  readonly dirty: boolean;
  readonly busy: "saving" | "simulating" | "versioning" | null;
  /** The result of the last simulation or of the last save that was refused. */
  readonly trial: Trial | null;
  /** A graph that someone else saved since the edits began. */
  readonly newer: Tagged<GraphDocument> | null;
  /** Simulates the graph as it is shown, without saving what was edited. */
  readonly simulate: () => void;
  /** Saves the graph, then simulates it and builds the bundle. */
  readonly save: () => void;
  /** Saves the graph as a new version, which has the same map and beats; this version keeps its graph. */
  readonly saveVersion: () => void;
}

/** Holds the edits of a version's graph, and sends them. */
export function useGraphEditor(trackId: string, version: number, loaded: Tagged<GraphDocument>, types: NodeTypes): GraphEditor {
  const key = `${trackId} ${version}`;
  const etag = loaded.etag ?? "";
  const queryClient = useQueryClient();
  const [state, dispatch] = useReducer(reduceHistory, null, () => kept.get(key)?.history ?? openHistory(loaded.data, etag));
  const [trial, setTrial] = useState<Trial | null>(() => kept.get(key)?.trial ?? null);
  const [busy, setBusy] = useState<GraphEditor["busy"]>(null);
  const dirty = !sameGraph(state.present, state.saved, types);
  const isOther = etag !== state.etag && busy === null;
  const newer = isOther && dirty ? loaded : null;

  useEffect(() => {
    if (isOther && !dirty) dispatch({ type: "load", graph: loaded.data, etag });
  }, [isOther, dirty, loaded, etag]);
  useEffect(() => {
    if (dirty || state.past.length > 0) kept.set(key, { history: state, trial });
    else kept.delete(key);
  }, [key, dirty, state, trial]);
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [dirty]);

  const params = { path: { track_id: trackId, version } };
  const run = async (graph: GraphDocument, isTrial: boolean): Promise<void> => {
    const body = isTrial ? { graph } : {};
    const result = await unwrap(api.POST("/tracks/{track_id}/versions/{version}/simulate", { params, body }));
    setTrial({ graph, run: runOf(result), violations: [] });
    if (!isTrial) await queryClient.invalidateQueries({ queryKey: keys.track(trackId) });
  };
  const refused = (graph: GraphDocument, error: unknown): void => {
    if (error instanceof ApiError && error.violations.length > 0) setTrial({ graph, run: null, violations: error.violations });
    else toastError(error);
    if (error instanceof ApiError && error.isConflict) void queryClient.invalidateQueries({ queryKey: keys.track(trackId) });
  };

  const simulate = (): void => {
    const graph = state.present;
    setBusy("simulating");
    run(graph, dirty)
      .catch((error: unknown) => refused(graph, error))
      .finally(() => setBusy(null));
  };

  const saveAndRun = async (graph: GraphDocument): Promise<void> => {
    const header = { "If-Match": state.etag };
    const saved = await unwrapTagged(
      api.PUT("/tracks/{track_id}/versions/{version}/graph", { params: { ...params, header }, body: graph }),
    );
    dispatch({ type: "saved", graph, etag: saved.etag ?? "" });
    queryClient.setQueryData(graphOf(trackId, version).queryKey, { data: graph, etag: saved.etag });
    setBusy("simulating");
    try {
      await run(graph, false);
      toastDone(t.saved(saved.data.revision), { description: t.savedText });
    } catch (error) {
      toastError(error, t.runMissing);
      await queryClient.invalidateQueries({ queryKey: keys.track(trackId) });
    }
  };
  const save = (): void => {
    const graph = state.present;
    setBusy("saving");
    saveAndRun(graph)
      .catch((error: unknown) => refused(graph, error))
      .finally(() => setBusy(null));
  };

  const addVersion = async (graph: GraphDocument): Promise<void> => {
    const base = newer ?? { data: state.saved, etag: state.etag };
    const header = { "If-Match": base.etag ?? "" };
    const saved = await unwrap(
      api.POST("/tracks/{track_id}/versions/{version}/graph", { params: { ...params, header }, body: graph }),
    );
    // The edits are in the new version now.
    dispatch({ type: "load", graph: base.data, etag: base.etag ?? "" });
    setTrial(null);
    await queryClient.invalidateQueries({ queryKey: keys.tracks });
    setSearch({ v: undefined });
    toastDone(t.savedVersion(saved.version), { description: t.savedVersionText(version) });
  };
  const saveVersion = (): void => {
    const graph = state.present;
    setBusy("versioning");
    addVersion(graph)
      .catch((error: unknown) => refused(graph, error))
      .finally(() => setBusy(null));
  };

  return { state, dispatch, dirty, busy, trial, newer, simulate, save, saveVersion };
}
