import type { ReactNode } from "react";
import { commands as editorTexts } from "../../texts/track/trackEditor";
import { shortcuts as t } from "../../texts/shortcuts";
import { describeKeys, KEYS, type Command } from "../../track/beats/keys";
import { Dialog } from "../../ui/Dialog";
import { Switch } from "../../ui/Field";
import { Kbd } from "../../ui/states";
import { isMac, nameKeys, PAGE_KEYS, type PageCommand } from "./pageKeys";
import { switchShortcuts, useShortcutsOn } from "./settings";

/** Lists every shortcut, and switches all of them on or off. */
export default function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const isOn = useShortcutsOn();
  const mac = isMac();
  return (
    <Dialog open wide onOpenChange={onClose} title={t.title} description={t.text}>
      <div className="mb-4 rounded border border-line bg-raised px-3 py-2">
        <Switch label={t.on} hint={t.onHint} checked={isOn} onChange={switchShortcuts} />
      </div>
      <div className={isOn ? "columns-1 gap-8 md:columns-2" : "columns-1 gap-8 opacity-60 md:columns-2"}>
        <Group title={t.groups.page}>
          {(Object.keys(PAGE_KEYS) as PageCommand[]).map((command) => (
            <Line key={command} keys={nameKeys(PAGE_KEYS[command], mac)} text={t.page[command]} />
          ))}
        </Group>
        <Group title={t.groups.library}>
          {t.library.map(([keys, text]) => <Line key={keys} keys={keys.split(" ")} text={text} />)}
        </Group>
        <Group title={t.groups.editor}>
          {(Object.keys(KEYS) as Command[]).map((command) => (
            <Line key={command} keys={describeKeys(command, mac).split(" ")} text={editorTexts[command]} />
          ))}
        </Group>
      </div>
    </Dialog>
  );
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="mb-4">
      <h3 className="mb-1 text-xs font-semibold text-muted">{title}</h3>
      <dl>{children}</dl>
    </section>
  );
}

function Line({ keys, text }: { keys: readonly string[]; text: string }) {
  return (
    <div className="flex break-inside-avoid items-center justify-between gap-4 border-b border-line/60 py-1">
      <dt className="text-sm">{text}</dt>
      <dd className="flex gap-1">{keys.map((key) => <Kbd key={key}>{key}</Kbd>)}</dd>
    </div>
  );
}
