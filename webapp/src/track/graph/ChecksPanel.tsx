import { CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import { graph as t } from "../../texts/graph";
import type { Violation } from "./reports";
import { Section } from "./Section";

export interface ChecksPanelProps {
  /** Null where the graph was edited since it was checked. */
  violations: readonly Violation[] | null;
  /** Whether the graph was only tried: a trial tells errors, and warnings come with saving. */
  isTried: boolean;
  onSelect: (id: string) => void;
}

/** The rules that the graph breaks: what, where, and how to mend it. */
export function ChecksPanel({ violations, isTried, onSelect }: ChecksPanelProps) {
  return (
    <Section title={t.checks.title}>
      {violations === null && <p className="text-sm text-muted">{t.checks.notChecked}</p>}
      {violations?.length === 0 && (
        <p className="flex items-center gap-1.5 text-sm text-ok">
          <CircleCheck size={14} aria-hidden />
          {isTried ? t.checks.tried : t.checks.valid}
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
    </Section>
  );
}
