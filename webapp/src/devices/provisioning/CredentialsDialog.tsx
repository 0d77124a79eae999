import { Download, KeyRound } from "lucide-react";
import type { Schemas } from "../../api/types";
import { downloadText } from "../../app/download";
import { devicesTexts as t } from "../../texts/fleet/devices";
import { Button, IconButton } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { credentialFiles } from "./credentials";

/** The credentials of new devices as files; they are shown now and never again. */
export function CredentialsDialog({ added, onClose }: { added: Schemas["DevicesAdded"]; onClose: () => void }) {
  const files = credentialFiles(added);
  const footer = (
    <>
      <Button icon={<Download size={14} aria-hidden />} onClick={() => files.forEach(({ name, text }) => downloadText(name, text))}>{t.download}</Button>
      <Button tone="primary" onClick={onClose}>{t.done}</Button>
    </>
  );
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title={t.addedTitle(added.credentials.length)} description={t.credentialsText} footer={footer}>
      <ul className="divide-y divide-line rounded border border-line">
        {files.map(({ name, text }) => (
          <li key={name} className="flex h-10 items-center gap-2.5 px-2.5">
            <KeyRound size={14} className="shrink-0 text-muted" aria-hidden />
            <span className="min-w-0 flex-1 truncate font-mono text-xs" title={name}>{name}</span>
            <IconButton size="sm" label={`${t.downloadOne} ${name}`} onClick={() => downloadText(name, text)}><Download size={14} /></IconButton>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
