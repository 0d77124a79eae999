import { CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import { texts } from "../../../texts";
import { graph as t } from "../../../texts/track/graph";
import { Button, Spinner } from "../../../ui";
import type { Violation } from "../reports";
import { Section } from "./Section";
import type { GraphCheck } from "../editing/useGraphCheck";

export interface ChecksPanelProps {
  /** Null while they are not known. */
  violations: readonly Violation[] | null;
  /** The check of a graph that is not saved; null for a saved one, whose violations are stored. */
  check: GraphCheck | null;
  onSelect: (id: string) => void;
}

/** The rules that the graph breaks: what, where, and how to mend it. */
export function ChecksPanel({ violations, check, onSelect }: ChecksPanelProps) {
  const impact = check?.result?.impact ?? null;
  return (
    <Section title={t.checks.title} {...(check ? { note: t.checks.unsaved } : {})}>
      {violations === null && <Unknown check={check} />}
      {violations?.length === 0 && (
        <p className="flex items-center gap-1.5 text-sm text-ok">
          <CircleCheck size={14} aria-hidden />
          {t.checks.valid}
        </p>
      )}
      {violations !== null && violations.length > 0 && (
        <div role={violations.some(({ severity }) => severity === "error") ? "alert" : undefined}>
          <ul className="max-h-80 divide-y divide-line overflow-auto" tabIndex={0} aria-label={t.checks.title}>
            {violations.map(({ rule, severity, node, message, fix }) => (
              <li key={`${rule} ${node} ${message}`} className="flex gap-2 py-1.5 text-sm">
                {severity === "error" ? (
                  <CircleX size={14} className="mt-0.5 shrink-0 text-danger" aria-label={t.checks.error} />
                ) : (
                  <TriangleAlert size={14} className="mt-0.5 shrink-0 text-warn" aria-label={t.checks.warning} />
                )}
                <div className="min-w-0 break-words">
                  <p>
                    {message}
                    {node != null && (
                      <button type="button" className="ml-2 text-xs text-accent hover:underline" onClick={() => onSelect(node)}>
                        {node}
                      </button>
                    )}
                  </p>
                  <p className="text-xs text-soft">
                    {t.checks.fix} {fix}
                  </p>
                </div>
              </li>
            ))}
          </ul>
        </div>
      )}
      {impact && (
        <p className="mt-1 text-xs text-muted">{t.checks.impact(impact.changedNodes.length + impact.removed_nodes.length, impact.against ?? "")}</p>
      )}
    </Section>
  );
}

function Unknown({ check }: { check: GraphCheck | null }) {
  if (check === null) return <p className="text-sm text-muted">{t.checks.notChecked}</p>;
  if (check.isFailed) {
    return (
      <p className="flex flex-wrap items-center gap-2 text-sm text-warn">
        {t.checks.failed}
        <Button size="sm" onClick={check.retry}>
          {texts.common.retry}
        </Button>
      </p>
    );
  }
  return (
    <p role="status" className="flex items-center gap-1.5 text-sm text-muted">
      <Spinner />
      {t.checks.checking}
    </p>
  );
}
