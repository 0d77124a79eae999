import { Maximize, TriangleAlert } from "lucide-react";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { graph as t } from "../../texts/track/graph";
import { Button, cx } from "../../ui";
import { costOf } from "./model/cost";
import { valueOf, type GraphDocument, type GraphNode, type NodeTypes } from "./model/document";
import { layOut, NODE_HEIGHT, NODE_WIDTH, type GraphLayout, type PlacedNode } from "./model/layout";
import { showValue } from "./model/ranges";

/** What is to be said about nodes beside what they are. */
export interface NodeMarks {
  readonly added: ReadonlySet<string>;
  readonly changed: ReadonlySet<string>;
  readonly faulty: ReadonlySet<string>;
  readonly warned: ReadonlySet<string>;
}

export interface GraphCanvasProps {
  graph: GraphDocument;
  types: NodeTypes;
  marks: NodeMarks;
  selected: string | null;
  onSelect: (id: string) => void;
}

/** The graph as a drawing: sources at the top, the output at the bottom. The nodes are buttons. */
export function GraphCanvas({ graph, types, marks, selected, onSelect }: GraphCanvasProps) {
  // The drawing depends on nodes and connections only, and not on values that a slider moves.
  const shape = JSON.stringify(graph.nodes.map(({ id, type, inputs }) => ({ id, type, inputs })));
  const layout = useMemo(() => layOut({ name: "", nodes: JSON.parse(shape) as GraphNode[] }), [shape]);
  const room = useRef<HTMLDivElement>(null);
  const width = useWidth(room);
  const [isActual, setIsActual] = useState(false);
  const pane = useRef<HTMLDivElement>(null);
  const fitting = width === 0 ? 1 : Math.min(1, width / layout.width);
  const scale = isActual ? 1 : Math.max(fitting, 0.62);
  useEffect(() => {
    // What is wider than the pane is first seen from its middle, where the output is.
    if (pane.current) pane.current.scrollLeft = (layout.width * scale - width) / 2;
  }, [layout.width, scale, width]);
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const most = Math.max(1, ...graph.nodes.map((node) => costOf(node, types.get(node.type))));
  const entry = selected !== null && nodes.has(selected) ? selected : layout.nodes[0]?.id;

  const move = (event: KeyboardEvent<HTMLDivElement>): void => {
    const from = layout.nodes.find(({ id }) => id === entry);
    const next = from && neighbourOf(layout, from, event.key);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    onSelect(next.id);
    event.currentTarget.querySelector<HTMLElement>(`[data-node="${next.id}"]`)?.focus();
  };

  return (
    <div ref={room} className="min-w-0 bg-bg">
      <p className="flex min-h-8 items-center gap-2 px-3 pt-1 text-2xs text-muted">
        <span className="min-w-0 flex-1">{t.legend(graph.nodes.length, layout.edges.length)}</span>
        {fitting < 1 && (
          <Button size="sm" tone="ghost" icon={<Maximize size={13} aria-hidden />} onClick={() => setIsActual(!isActual)}>
            {isActual ? t.fit : t.actualSize}
          </Button>
        )}
      </p>
      <div ref={pane} className="max-h-[44rem] min-h-40 overflow-auto">
        <div className="mx-auto" style={{ width: layout.width * scale, height: layout.height * scale }}>
          <div
            role="group"
            aria-label={t.region}
            title={t.hint}
            onKeyDown={move}
            className="relative origin-top-left"
            style={{ width: layout.width, height: layout.height, transform: `scale(${scale})` }}
          >
            <svg width={layout.width} height={layout.height} aria-hidden="true" className="absolute inset-0">
              {layout.edges.map((edge) => {
                const isNear = selected !== null && (edge.from === selected || edge.to === selected);
                return (
                  <path
                    key={`${edge.to}.${edge.port}`}
                    d={edge.path}
                    fill="none"
                    strokeWidth={isBuffer(types, nodes.get(edge.from)) ? 3 : 1.5}
                    className={isNear ? "stroke-accent" : "stroke-line-strong"}
                  />
                );
              })}
            </svg>
            {layout.nodes.map((place) => {
              const node = nodes.get(place.id);
              return (
                node && (
                  <NodeBox
                    key={place.id}
                    node={node}
                    types={types}
                    place={place}
                    marks={marks}
                    share={costOf(node, types.get(node.type)) / most}
                    selected={place.id === selected}
                    isEntry={place.id === entry}
                    onSelect={onSelect}
                  />
                )
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}

interface NodeBoxProps {
  node: GraphNode;
  types: NodeTypes;
  place: PlacedNode;
  marks: NodeMarks;
  /** Its cost against that of the most expensive node. */
  share: number;
  selected: boolean;
  isEntry: boolean;
  onSelect: (id: string) => void;
}

function NodeBox({ node, types, place, marks, share, selected, isEntry, onSelect }: NodeBoxProps) {
  const type = types.get(node.type);
  const cost = `${Math.round(costOf(node, type))} µs`;
  const isFaulty = marks.faulty.has(node.id);
  const isAdded = marks.added.has(node.id);
  const isChanged = marks.changed.has(node.id);
  const isWarned = marks.warned.has(node.id);
  const notes = [isFaulty && t.node.faulty, isWarned && t.node.warned, isAdded && t.node.added, isChanged && t.node.changed].filter((note) => note !== false).join(", ");
  const values = (type?.params ?? [])
    .filter(({ name, kind }) => !kind.startsWith("color") && node.inputs?.[name] === undefined)
    .map((param) => showValue(valueOf(node, param)));
  return (
    <button
      type="button"
      data-node={node.id}
      title={node.id}
      aria-pressed={selected}
      tabIndex={isEntry ? 0 : -1}
      onClick={() => onSelect(node.id)}
      style={{ left: place.x, top: place.y, width: NODE_WIDTH, height: NODE_HEIGHT }}
      className={cx(
        "absolute flex flex-col overflow-hidden rounded border bg-panel px-2 pt-1 text-left hover:bg-hover",
        isFaulty ? "border-danger" : selected ? "border-accent ring-1 ring-accent" : isAdded ? "border-ok" : isChanged ? "border-warn" : "border-line-strong",
      )}
    >
      <span className="flex w-full items-center gap-1">
        <span className="min-w-0 flex-1 truncate text-xs font-semibold">{node.id}</span>
        {(isFaulty || isWarned) && <TriangleAlert size={12} className={cx("shrink-0", isFaulty ? "text-danger" : "text-warn")} aria-hidden />}
        {(isAdded || isChanged) && <span className={cx("shrink-0 text-2xs font-semibold", isAdded ? "text-ok" : "text-warn")} aria-hidden="true">{isAdded ? "+" : "≠"}</span>}
      </span>
      <span className="flex w-full items-baseline gap-1 text-2xs">
        <span className="min-w-0 flex-1 truncate text-soft">{node.type}</span>
        <span className="shrink-0 text-muted">{cost}</span>
      </span>
      <span className="w-full truncate text-2xs text-muted">{values.join(" · ")}</span>
      {notes !== "" && <span className="sr-only">{notes}</span>}
      <span className="absolute inset-x-0 bottom-0 h-0.5" aria-hidden="true">
        <span className="block h-full bg-accent-solid" style={{ width: `${100 * share}%` }} />
      </span>
    </button>
  );
}

/** Tell whether a node gives a whole strip and not a single value. */
function isBuffer(types: NodeTypes, node: GraphNode | undefined): boolean {
  return node !== undefined && (types.get(node.type)?.outputs[0]?.type.startsWith("led_buffer") ?? false);
}

/** Return the node to which an arrow key leads. */
function neighbourOf({ nodes }: GraphLayout, from: PlacedNode, key: string): PlacedNode | undefined {
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  const distance = ({ x }: PlacedNode): number => Math.abs(x - from.x);
  const nearest = (some: readonly PlacedNode[]): PlacedNode | undefined => [...some].sort((one, other) => distance(one) - distance(other))[0];
  if (side !== undefined) return nearest(nodes.filter(({ layer, x }) => layer === from.layer && (x - from.x) * side > 0));
  return step === undefined ? undefined : nearest(nodes.filter(({ layer }) => layer === from.layer + step));
}

function useWidth(ref: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}
