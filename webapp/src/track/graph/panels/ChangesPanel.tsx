import { Minus, PenLine, Plus, RotateCcw } from "lucide-react";
import { graph as t } from "../../../texts/track/graph";
import { Badge, IconButton } from "../../../ui";
import { formatClock } from "../../clock";
import { countChanges, diffGraphs } from "../model/diff";
import { recommendationOf, type GraphDocument, type NodeTypes, type Value } from "../model/document";
import { showValue, toHex } from "../model/ranges";
import { takeInput, takeNode, takeParam } from "../model/taking";
import { Section } from "./Section";

export interface ChangesPanelProps {
  graph: GraphDocument;
  recommended: GraphDocument | null;
  types: NodeTypes;
  mayEdit: boolean;
  onSelect: (id: string) => void;
  onEdit: (graph: GraphDocument) => void;
  onSeek: (ms: number) => void;
}

/** What differs from the recommended graph, each change with a way back, and why it was recommended. */
export function ChangesPanel({ graph, recommended, types, mayEdit, onSelect, onEdit, onSeek }: ChangesPanelProps) {
  if (!recommended) return <Section title={t.changes.title}><p className="text-sm text-muted">{t.changes.unknown}</p></Section>;
  const diff = diffGraphs(recommended, graph, types);
  const about = recommendationOf(recommended);
  const shared = { mayEdit, onSelect };
  const typeOf = new Map(graph.nodes.map(({ id, type }) => [id, types.get(type)]));
  const show = (node: string, name: string, value: Value): string =>
    typeOf.get(node)?.params.find((param) => param.name === name)?.kind === "color" ? toHex(value) : showValue(value);
  return (
    <Section title={t.changes.title}>
      {countChanges(diff) === 0 && <p className="text-sm text-soft">{t.changes.none}</p>}
      <ul className="divide-y divide-line">
        {diff.added.map(({ id, type }) => (
          <Change key={`+${id}`} kind="added" node={id} what={type} {...shared} onTake={() => onEdit(takeNode(graph, recommended, id))} />
        ))}
        {diff.removed.map(({ id, type }) => (
          <Change key={`-${id}`} kind="removed" node={id} what={type} {...shared} onTake={() => onEdit(takeNode(graph, recommended, id))} />
        ))}
        {diff.params.map(({ node, param, from, to }) => (
          <Change key={`${node}.${param}`} kind="changed" node={node} what={param} from={show(node, param, from)} to={show(node, param, to)} {...shared} onTake={() => onEdit(takeParam(graph, recommended, node, param))} />
        ))}
        {diff.inputs.map(({ node, port, from, to }) => (
          <Change
            key={`${node}<${port}`}
            kind="changed"
            node={node}
            what={t.changes.input(port)}
            from={from ?? t.changes.nothing}
            to={to ?? t.changes.nothing}
            {...shared}
            onTake={() => onEdit(takeInput(graph, recommended, node, port))}
          />
        ))}
      </ul>
      {about && (
        <details className="mt-2" open={countChanges(diff) === 0}>
          <summary className="touch-target inline-flex items-center text-xs text-accent">
            {t.changes.reasons} ({about.reasons.length})
          </summary>
          <p className="mt-1 text-xs text-soft" title={about.meaning}>
            {t.changes.about(about.template, about.preset)}
            {about.confidence !== null && ` · ${t.changes.confidence(Math.round(100 * about.confidence))}`}
          </p>
          <ul className="mt-1 max-h-64 divide-y divide-line overflow-auto text-xs" tabIndex={0} aria-label={t.changes.reasons}>
            {about.reasons.map(({ text, node, timeMs }) => (
              <li key={`${text} ${timeMs}`} className="flex items-baseline gap-2 py-1">
                <span className="min-w-0 flex-1 text-soft">{text}</span>
                {timeMs !== null && (
                  <button type="button" className="shrink-0 text-accent hover:underline" aria-label={t.changes.seek(formatClock(timeMs, 1000))} onClick={() => onSeek(timeMs)}>
                    {formatClock(timeMs, 1000)}
                  </button>
                )}
                {node !== null && (
                  <button type="button" className="shrink-0 text-accent hover:underline" onClick={() => onSelect(node)}>
                    {node}
                  </button>
                )}
              </li>
            ))}
          </ul>
        </details>
      )}
    </Section>
  );
}

const TONES = { added: "ok", removed: "danger", changed: "warn" } as const;
const ICONS = { added: Plus, removed: Minus, changed: PenLine } as const;

interface ChangeProps {
  kind: keyof typeof TONES;
  node: string;
  what: string;
  from?: string;
  to?: string;
  mayEdit: boolean;
  onSelect: (id: string) => void;
  onTake: () => void;
}

function Change({ kind, node, what, from, to, mayEdit, onSelect, onTake }: ChangeProps) {
  const Icon = ICONS[kind];
  return (
    <li className="flex min-h-9 items-center gap-2 py-1 text-xs">
      <Badge tone={TONES[kind]} icon={<Icon size={11} aria-hidden />} className="w-20">
        {t.changes[kind]}
      </Badge>
      <div className="min-w-0 flex-1">
        {kind === "removed" ? <span className="font-medium">{node}</span> : (
          <button type="button" className="font-medium text-accent hover:underline" onClick={() => onSelect(node)}>
            {node}
          </button>
        )}{" "}
        <span className="text-muted">{what}</span>
        {from !== undefined && (
          <p className="break-words">
            <span className="text-muted line-through">{from}</span> → {to}
          </p>
        )}
      </div>
      {mayEdit && (
        <IconButton size="sm" label={t.changes.undoChange(`${node} ${what}`)} onClick={onTake}>
          <RotateCcw size={13} aria-hidden />
        </IconButton>
      )}
    </li>
  );
}
