import { useQuery } from "@tanstack/react-query";
import { Workflow } from "lucide-react";
import { ApiError } from "../../api/errors";
import { graph as t } from "../../texts/track/graph";
import { Empty, ErrorState, Skeleton } from "../../ui";
import type { Song } from "../useSong";
import { GraphEditorView } from "./GraphEditorView";
import { graphOf, nodeTypes, recommendedGraph } from "./queries";

export interface GraphTabProps {
  trackId: string;
  /** The version that is shown. */
  version: number;
  song: Song;
  mayEdit: boolean;
}

/** The graph of a version: drawn, compared with the recommended one, edited, checked and simulated. */
export default function GraphTab({ trackId, version, song, mayEdit }: GraphTabProps) {
  const graph = useQuery(graphOf(trackId, version));
  const recommended = useQuery(recommendedGraph(trackId, version));
  const types = useQuery(nodeTypes);
  const failed = [graph, recommended, types].find(({ isError }) => isError);
  if (failed) {
    if (failed.error instanceof ApiError && failed.error.code === "graph_missing") {
      return <Empty icon={<Workflow size={28} />} title={t.missing} text={t.missingText} />;
    }
    return <ErrorState error={failed.error} onRetry={() => void failed.refetch()} />;
  }
  if (!graph.data || recommended.data === undefined || !types.data) return <Skeleton className="m-3 h-96" />;
  return (
    <GraphEditorView
      key={`${trackId} ${version}`}
      trackId={trackId}
      version={version}
      loaded={graph.data}
      recommended={recommended.data}
      types={types.data}
      song={song}
      mayEdit={mayEdit}
    />
  );
}
