import { track as trackTexts } from "../../../texts/track";
import { Dialog, Kbd } from "../../../ui";
import { describeKeys, KEYS, type Command } from "../keys";

const IS_MAC = navigator.userAgent.includes("Mac");

/** The keys of the beat editor. */
export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open wide onOpenChange={(open) => !open && onClose()} title={trackTexts.editor.keys} description={trackTexts.editor.keysHint}>
      <dl className="columns-1 gap-8 md:columns-2">
        {(Object.keys(KEYS) as Command[]).map((command) => (
          <div key={command} className="flex min-h-7 break-inside-avoid items-center justify-between gap-3 border-b border-line text-sm">
            <dt>{trackTexts.commands[command]}</dt>
            <dd className="shrink-0">
              <Kbd>{describeKeys(command, IS_MAC)}</Kbd>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
