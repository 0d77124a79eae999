import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "../../../api/types";
import { useSettled } from "../../../app/useSettled";
import type { GraphDocument } from "../model/document";
import { graphCheck } from "../queries";

/** A graph is checked so long after its last change, so that a slider asks once. */
const SETTLED_MS = 400;

export interface GraphCheck {
  /** The result for the graph that is shown; null while it is not there. */
  readonly result: Schemas["GraphValidated"] | null;
  readonly isFailed: boolean;
  readonly retry: () => void;
}

/** Checks a graph that is not saved, as it is edited. */
export function useGraphCheck(trackId: string, version: number, graph: GraphDocument, dirty: boolean): GraphCheck {
  const settled = useSettled(graph, SETTLED_MS);
  const isSettled = settled === graph;
  const query = useQuery({ ...graphCheck(trackId, version, settled), enabled: dirty && isSettled });
  return {
    result: isSettled ? (query.data ?? null) : null,
    isFailed: isSettled && query.isError,
    retry: () => void query.refetch(),
  };
}
