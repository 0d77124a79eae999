import { graph as t } from "../../../texts/track/graph";
import { cx } from "../../../ui";
import { riskOf } from "../../header/RiskStrip";
import { BUDGET_MS, costsOf, totalMs } from "../model/cost";
import type { GraphDocument, NodeTypes } from "../model/document";
import { Section } from "./Section";

export interface CostPanelProps {
  graph: GraphDocument;
  types: NodeTypes;
  selected: string | null;
  onSelect: (id: string) => void;
}

const TONES = { ok: "text-ok", warn: "text-warn", danger: "text-danger", neutral: "", accent: "" } as const;

/** What each node costs in a frame, the most expensive first. It follows the edits at once. */
export function CostPanel({ graph, types, selected, onSelect }: CostPanelProps) {
  const costs = costsOf(graph, types);
  const total = totalMs(costs);
  const most = costs[0]?.us ?? 1;
  const risk = riskOf({ est_ms: total, cpu_pct: (100 * total) / BUDGET_MS });
  return (
    <Section title={t.estimate.title}>
      <p className="mb-1 text-xs text-muted">
        <span className={cx("font-medium", TONES[risk])}>{t.estimate.total(total.toFixed(2))}</span> {t.estimate.caption}
      </p>
      <ul>
        {costs.map(({ node, type, us }) => (
          <li key={node}>
            <button
              type="button"
              onClick={() => onSelect(node)}
              className={cx("touch-target grid w-full grid-cols-[minmax(0,1fr)_4rem_3.5rem] items-center gap-2 rounded px-1 py-0.5 text-left text-xs hover:bg-hover", node === selected && "bg-accent-soft")}
            >
              <span className="truncate">
                {node} <span className="text-muted">{type}</span>
              </span>
              <span className="h-1.5 rounded-full bg-hover" aria-hidden="true">
                <span className="block h-full rounded-full bg-accent-solid" style={{ width: `${(100 * us) / most}%` }} />
              </span>
              <span className="text-right">{Math.round(us)} µs</span>
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}
