import { useQuery } from "@tanstack/react-query";
import { graphChanges } from "../../texts/track/changes";
import { graph as graphTexts } from "../../texts/track/graph";
import { track as trackTexts } from "../../texts/track/track";
import { countKinds, diffGraphs, type GraphDiff } from "./model/diff";
import type { NodeTypes, Value } from "./model/document";
import { showValue, toHex } from "./model/ranges";
import { graphOf, nodeTypes } from "./queries";

const t = trackTexts.compare;
const SHOWN_CHANGES = 12;

export interface GraphComparisonProps {
  trackId: string;
  version: number;
  /** The version that it is compared with. */
  other: number;
}

/** What changed in the graph from another version to this one. Shows nothing where one of them has no graph. */
export default function GraphComparison({ trackId, version, other }: GraphComparisonProps) {
  const types = useQuery(nodeTypes).data;
  const before = useQuery(graphOf(trackId, other)).data?.data;
  const after = useQuery(graphOf(trackId, version)).data?.data;
  if (!types || !before || !after) return null;
  const diff = diffGraphs(before, after, types);
  const lines = linesOf(diff, types, new Map(after.nodes.map(({ id, type }) => [id, type])));
  return (
    <section aria-label={t.graph}>
      <p className="text-sm">
        <span className="font-medium">{t.graph}</span> · {graphChanges(countKinds(diff)) || t.sameGraph}
      </p>
      <ul className="mt-1 text-xs text-soft">
        {lines.slice(0, SHOWN_CHANGES).map(({ node, text }) => (
          <li key={`${node} ${text}`}>
            <span className="font-medium">{node}</span> <span className="text-muted">{text}</span>
          </li>
        ))}
      </ul>
      {lines.length > SHOWN_CHANGES && <p className="text-xs text-muted">{t.more(lines.length - SHOWN_CHANGES)}</p>}
    </section>
  );
}

interface Line {
  readonly node: string;
  readonly text: string;
}

function linesOf({ added, removed, params, inputs }: GraphDiff, types: NodeTypes, typeOf: ReadonlyMap<string, string>): readonly Line[] {
  const show = (node: string, param: string, value: Value): string => {
    const known = types.get(typeOf.get(node) ?? "")?.params.find(({ name }) => name === param);
    return known?.kind === "color" ? toHex(value) : showValue(value);
  };
  const { changes } = graphTexts;
  return [
    ...added.map(({ id, type }) => ({ node: id, text: `${type}: ${changes.added.toLowerCase()}` })),
    ...removed.map(({ id, type }) => ({ node: id, text: `${type}: ${changes.removed.toLowerCase()}` })),
    ...params.map(({ node, param, from, to }) => ({ node, text: `${param}: ${show(node, param, from)} → ${show(node, param, to)}` })),
    ...inputs.map(({ node, port, from, to }) => ({ node, text: `${changes.input(port)}: ${from ?? changes.nothing} → ${to ?? changes.nothing}` })),
  ];
}
