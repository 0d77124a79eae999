import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Tagged } from "../../api/client";
import { setSearch, useSearch } from "../../app/router";
import { APPLY } from "../../app/shortcuts/runCommand";
import { graph as t } from "../../texts/track/graph";
import { Button, toastMessage } from "../../ui";
import { artefacts } from "../queries";
import type { Song } from "../useSong";
import { ChangesPanel } from "./panels/ChangesPanel";
import { ChecksPanel } from "./panels/ChecksPanel";
import { CostPanel } from "./panels/CostPanel";
import { GraphCanvas } from "./GraphCanvas";
import { GraphToolbar } from "./GraphToolbar";
import { changedNodes, diffGraphs, sameGraph } from "./model/diff";
import { recommendationOf, type GraphDocument, type NodeTypes } from "./model/document";
import { NodePanel } from "./panels/NodePanel";
import { storedRun, storedViolations, type Violation } from "./reports";
import { RunPanel } from "./panels/RunPanel";
import { useArrivals } from "./editing/useArrivals";
import { useGraphCheck, type GraphCheck } from "./editing/useGraphCheck";
import { useGraphEditor, type GraphEditor } from "./editing/useGraphEditor";
import { useUndoKeys } from "./editing/useUndoKeys";

export interface GraphEditorViewProps {
  trackId: string;
  version: number;
  loaded: Tagged<GraphDocument>;
  recommended: GraphDocument | null;
  types: NodeTypes;
  song: Song;
  mayEdit: boolean;
}

/** The drawing with its tools and, beside and below it, all that is known about the graph. */
export function GraphEditorView({ trackId, version, loaded, recommended, types, song, mayEdit }: GraphEditorViewProps) {
  const editor = useGraphEditor(trackId, version, loaded, types);
  const stored = useQuery(artefacts(trackId, version));
  const [selected, setSelected] = useState<string | null>(null);
  const { state, dispatch } = editor;
  const graph = state.present;
  const check = useGraphCheck(trackId, version, graph, editor.dirty);
  useUndoKeys(mayEdit, (type) => dispatch({ type }));
  useArrivals(trackId, version, editor.dirty);

  const edit = (next: GraphDocument, subject: string | null = null): void => dispatch({ type: "edit", graph: next, subject });
  const found = resultsOf(editor, check, stored.data?.artefacts ?? [], types);
  const diff = recommended && diffGraphs(recommended, graph, types);
  const none: ReadonlySet<string> = new Set();
  const nodesWith = (wanted: Violation["severity"]): ReadonlySet<string> =>
    new Set(found.violations?.flatMap(({ node, severity }) => (severity === wanted && node != null ? node : [])));
  const marks = { ...(diff ? changedNodes(diff) : { added: none, changed: none }), faulty: nodesWith("error"), warned: nodesWith("warning") };
  const isRecommended = recommended !== null && sameGraph(recommended, graph, types);
  const isAsked = useSearch().has(APPLY);
  useEffect(() => {
    if (!isAsked) return;
    setSearch({ [APPLY]: undefined });
    if (recommended === null) toastMessage(t.changes.unknown);
    else if (isRecommended) toastMessage(t.changes.none);
    else if (mayEdit) edit({ ...recommended });
  });
  const reasons = (recommended && recommendationOf(recommended)?.reasons) ?? [];
  const seek = (ms: number): void => song.engine.seek(ms);

  return (
    <div className="@container flex-1">
      <GraphToolbar
        editor={editor}
        mayEdit={mayEdit}
        isRecommended={isRecommended}
        diff={diff}
        onApply={recommended && (() => edit({ ...recommended }))}
        onEdit={(next) => edit(next)}
      />
      {editor.newer && <NewerNotice editor={editor} />}
      <div className="grid grid-rows-[auto_auto_1fr] @3xl:grid-cols-[minmax(0,1fr)_20rem] @3xl:grid-rows-[auto_1fr]">
        <div className="min-w-0 border-b border-line @3xl:border-r">
          <GraphCanvas graph={graph} types={types} marks={marks} selected={selected} onSelect={setSelected} />
        </div>
        <div className="min-w-0 @3xl:row-span-2">
          <NodePanel
            graph={graph}
            recommended={recommended}
            types={types}
            selected={selected}
            reasons={reasons.filter(({ node }) => node === selected)}
            mayEdit={mayEdit}
            onSelect={setSelected}
            onEdit={edit}
            onFinish={() => dispatch({ type: "finish" })}
          />
          <CostPanel graph={graph} types={types} selected={selected} onSelect={setSelected} />
        </div>
        <div className="min-w-0 @3xl:border-r @3xl:border-line">
          <ChecksPanel violations={found.violations} check={editor.dirty ? check : null} onSelect={setSelected} />
          <RunPanel run={found.run} source={found.source} onSelect={setSelected} onSeek={seek} />
          <ChangesPanel graph={graph} recommended={recommended} types={types} mayEdit={mayEdit} onSelect={setSelected} onEdit={edit} onSeek={seek} />
        </div>
      </div>
    </div>
  );
}

/** Return the newest results, and whether they are those of the graph that is shown. */
function resultsOf({ trial, state, dirty }: GraphEditor, check: GraphCheck, stored: Parameters<typeof storedRun>[0], types: NodeTypes) {
  const isTried = trial !== null && sameGraph(trial.graph, state.present, types);
  const refused = isTried && trial.violations.length > 0 ? trial.violations : null;
  const violations = dirty ? (check.result?.validation.violations ?? refused) : storedViolations(stored);
  if (isTried && trial.run !== null) return { violations, run: trial.run, source: dirty ? "tried" : "saved" } as const;
  const run = storedRun(stored);
  if (!dirty || trial?.run == null) return { violations, run, source: "saved" } as const;
  return { violations, run: trial.run, source: "earlier" } as const;
}

/** Says that someone else saved the graph, and offers to take it or to go on. */
function NewerNotice({ editor: { newer, state, dispatch } }: { editor: GraphEditor }) {
  if (!newer) return null;
  const etag = newer.etag ?? "";
  return (
    <div role="alert" className="flex flex-wrap items-center gap-2 border-b border-warn bg-warn-soft px-4 py-2 text-sm">
      <div className="min-w-0 flex-1">
        <p className="font-medium text-warn">{t.newerTitle}</p>
        <p className="text-soft">{t.newerText}</p>
      </div>
      <Button size="sm" onClick={() => dispatch({ type: "load", graph: newer.data, etag })}>
        {t.take}
      </Button>
      <Button size="sm" tone="primary" disabled={etag === state.etag} onClick={() => dispatch({ type: "saved", graph: newer.data, etag })}>
        {t.keep}
      </Button>
    </div>
  );
}
