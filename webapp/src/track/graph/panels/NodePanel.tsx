import { Mic } from "lucide-react";
import { graph as t } from "../../../texts/track/graph";
import { ParamControl } from "./ParamControl";
import { costOf } from "../model/cost";
import { edgesOf, valueOf, withValue, type GraphDocument, type NodeTypes, type Reason } from "../model/document";
import { Section } from "./Section";

export interface NodePanelProps {
  graph: GraphDocument;
  recommended: GraphDocument | null;
  types: NodeTypes;
  selected: string | null;
  /** Why the node was recommended as it was. */
  reasons: readonly Reason[];
  mayEdit: boolean;
  onSelect: (id: string) => void;
  /** `subject` names the parameter that is changed. */
  onEdit: (graph: GraphDocument, subject: string) => void;
  onFinish: () => void;
}

/** The selected node: what it does, where it stands, and its parameters. */
export function NodePanel({ graph, recommended, types, selected, reasons, mayEdit, onSelect, onEdit, onFinish }: NodePanelProps) {
  const node = graph.nodes.find(({ id }) => id === selected);
  if (!node) return <Section title={t.node.title}><p className="text-sm text-muted">{t.node.none}</p></Section>;
  const type = types.get(node.type);
  const other = recommended?.nodes.find(({ id, type: otherType }) => id === node.id && otherType === node.type);
  const readers = edgesOf(graph).filter(({ from }) => from === node.id);
  return (
    <Section title={node.id} note={`${node.type} · ${t.node.cost(String(Math.round(costOf(node, type))))}`}>
      {type && <p className="text-xs text-soft">{type.about}</p>}
      {type?.microphone && (
        <p className="mt-1 flex items-center gap-1 text-xs text-muted">
          <Mic size={12} aria-hidden />
          {t.node.microphone}
        </p>
      )}
      <dl className="mt-2 grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-0.5 text-xs">
        {type?.inputs.map(({ name }) => (
          <Connection key={name} name={name} ends={[node.inputs?.[name]].filter((source) => source !== undefined)} onSelect={onSelect} />
        ))}
        {readers.length > 0 && <Connection name={t.node.readers} ends={readers.map(({ to, port }) => `${to}.${port}`)} onSelect={onSelect} />}
      </dl>
      <div className="mt-2 divide-y divide-line border-t border-line">
        {type?.params.length === 0 && <p className="pt-2 text-xs text-muted">{t.node.noParams}</p>}
        {type?.params.map((param) => {
          const source = node.inputs?.[param.name];
          if (source !== undefined) {
            return (
              <p key={param.name} className="flex justify-between gap-2 py-2 text-xs">
                <span className="font-medium text-soft">{param.name}</span>
                <span className="text-muted">{t.node.driven(source)}</span>
              </p>
            );
          }
          return (
            <ParamControl
              key={`${node.id}.${param.name}`}
              param={param}
              value={valueOf(node, param)}
              recommended={other && valueOf(other, param)}
              disabled={!mayEdit}
              onChange={(value) => onEdit(withValue(graph, node.id, param.name, value), `${node.id}.${param.name}`)}
              onFinish={onFinish}
            />
          );
        })}
      </div>
      {reasons.length > 0 && (
        <div className="mt-2 border-t border-line pt-2">
          <h3 className="text-xs font-medium text-soft">{t.node.why}</h3>
          <ul className="mt-1 max-h-40 space-y-0.5 overflow-auto text-xs text-muted" tabIndex={0} aria-label={t.node.why}>
            {reasons.map(({ text }) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
    </Section>
  );
}

/** One input, or the readers, with links to the nodes at the other end. */
function Connection({ name, ends, onSelect }: { name: string; ends: readonly string[]; onSelect: (id: string) => void }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="flex min-w-0 flex-wrap gap-x-2">
        {ends.length === 0 && <span className="text-muted">{t.node.notConnected}</span>}
        {ends.map((end) => (
          <button key={end} type="button" className="truncate text-accent hover:underline" onClick={() => onSelect(end.split(".")[0] ?? "")}>
            {end}
          </button>
        ))}
      </dd>
    </>
  );
}
