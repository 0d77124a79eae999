import { useState } from "react";
import { texts } from "../../texts";
import { graph as t } from "../../texts/track/graph";
import { Button, Dialog, TextArea } from "../../ui";
import { asGraph, type GraphDocument } from "./model/document";

export interface JsonDialogProps {
  graph: GraphDocument;
  onUse: (graph: GraphDocument) => void;
  onClose: () => void;
}

/** The graph as text, for nodes and connections that have no control of their own. */
export function JsonDialog({ graph, onUse, onClose }: JsonDialogProps) {
  const [text, setText] = useState(() => JSON.stringify({ ...graph, meta: undefined }, null, 2));
  const [error, setError] = useState<string>();
  const use = (): void => {
    try {
      const read = asGraph(JSON.parse(text));
      if (read === null) return setError(t.jsonDialog.noGraph);
      onUse({ ...read, ...(graph.meta ? { meta: graph.meta } : {}) });
      onClose();
    } catch (failure) {
      setError(t.jsonDialog.broken(failure instanceof Error ? failure.message : ""));
    }
  };
  return (
    <Dialog
      open
      wide
      onOpenChange={onClose}
      title={t.jsonDialog.title}
      description={t.jsonDialog.text}
      footer={<><Button onClick={onClose}>{texts.common.cancel}</Button><Button tone="primary" onClick={use}>{t.jsonDialog.use}</Button></>}
    >
      <TextArea
        quiet
        label={t.jsonDialog.field}
        value={text}
        error={error}
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
        className="h-[60dvh] font-mono text-xs"
      />
    </Dialog>
  );
}
