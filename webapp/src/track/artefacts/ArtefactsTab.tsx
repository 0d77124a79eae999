import { useQuery } from "@tanstack/react-query";
import { Copy, Download, Flame, Link2, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../../api/types";
import { useMay } from "../../api/useSession";
import { formatAgo, formatBytes, formatTime } from "../../app/format";
import { texts } from "../../texts";
import { artefacts as t } from "../../texts/track/artefacts";
import { Button, cx, ErrorState, IconButton, Skeleton, Table, type Column } from "../../ui";
import { artefacts } from "../queries";
import { ProfileDialog } from "./ProfileDialog";
import { StateBadge } from "./StateBadge";
import { StorageBar } from "./StorageBar";
import { useArtefactActions, type ArtefactActions } from "./useArtefactActions";

type Artefact = Schemas["Artefact"];

export interface ArtefactsTabProps {
  trackId: string;
  /** The version that is shown. */
  version: number;
  mayEdit: boolean;
}

/** The files of a version: which are there, how large, with links, download, delete and restore. */
export default function ArtefactsTab({ trackId, version, mayEdit }: ArtefactsTabProps) {
  const list = useQuery(artefacts(trackId, version));
  const isAdmin = useMay("admin");
  const actions = useArtefactActions(trackId, version);
  const [profile, setProfile] = useState<Artefact | null>(null);
  if (list.isError) return <ErrorState error={list.error} onRetry={() => void list.refetch()} />;
  if (!list.data) return <Skeleton className="m-3 h-96" />;
  const files = list.data.artefacts;
  const present = files.filter(({ status }) => status === "present");
  const count = (status: Artefact["status"]): number => files.filter((file) => file.status === status).length;
  const bytes = present.reduce((sum, { size_bytes }) => sum + (size_bytes ?? 0), 0);
  return (
    <div className="@container flex-1 pb-20">
      {isAdmin && <StorageBar />}
      <p className="px-4 py-2 text-xs text-muted">{t.summary(present.length, formatBytes(bytes), count("missing"), count("deleted"))}</p>
      <Table label={t.table} columns={columnsOf(actions, mayEdit, setProfile)} rows={files} rowKey={({ name }) => name} />
      {profile && <ProfileDialog artefact={profile} onDownload={() => actions.download(profile)} onClose={() => setProfile(null)} />}
    </div>
  );
}

function columnsOf(actions: ArtefactActions, mayEdit: boolean, onProfile: (file: Artefact) => void): readonly Column<Artefact>[] {
  return [
    {
      id: "file",
      title: t.file,
      cell: (file) => (
        <div className="min-w-0 py-1.5">
          <p className={cx("break-all", file.status !== "present" && "text-muted")}>{file.name}</p>
          <p className="flex flex-wrap items-center gap-x-2 text-xs text-muted @2xl:hidden">
            <StateBadge file={file} />
            {file.size_bytes != null && <span className="whitespace-nowrap">{formatBytes(file.size_bytes)}</span>}
            {file.sha256 != null && <Hash file={file} onCopy={actions.copyHash} />}
          </p>
        </div>
      ),
    },
    { id: "type", title: t.type, className: "@max-4xl:hidden text-soft whitespace-nowrap", cell: ({ type }) => type },
    { id: "status", title: t.status, className: "@max-2xl:hidden", cell: (file) => <StateBadge file={file} /> },
    { id: "size", title: t.size, numeric: true, className: "@max-2xl:hidden whitespace-nowrap", cell: ({ size_bytes }) => (size_bytes == null ? texts.common.noValue : formatBytes(size_bytes)) },
    { id: "hash", title: t.hash, className: "@max-2xl:hidden", cell: (file) => <Hash file={file} onCopy={actions.copyHash} /> },
    {
      id: "created",
      title: t.created,
      className: "@max-4xl:hidden text-soft whitespace-nowrap",
      cell: ({ created_at }) => (created_at == null ? texts.common.noValue : <time dateTime={created_at} title={formatTime(created_at)}>{formatAgo(created_at)}</time>),
    },
    { id: "actions", title: texts.common.actions, quiet: true, cell: (file) => <Actions file={file} actions={actions} mayEdit={mayEdit} onProfile={onProfile} /> },
  ];
}

function Hash({ file, onCopy }: { file: Artefact; onCopy: ArtefactActions["copyHash"] }) {
  if (file.sha256 == null) return <span className="text-muted">{texts.common.noValue}</span>;
  return (
    <button type="button" title={file.sha256} onClick={() => onCopy(file)} className="touch-target relative inline-flex items-center gap-1.5 rounded px-1 font-mono text-xs text-soft hover:bg-hover hover:text-text">
      {file.sha256.slice(0, 10)}
      <span className="sr-only">{t.copyHash(file.name)}</span>
      <Copy size={12} aria-hidden />
    </button>
  );
}

interface ActionsProps {
  file: Artefact;
  actions: ArtefactActions;
  mayEdit: boolean;
  onProfile: (file: Artefact) => void;
}

function Actions({ file, actions, mayEdit, onProfile }: ActionsProps) {
  if (file.status === "deleted" && mayEdit) {
    return (
      <div className="flex justify-end">
        <Button size="sm" className="relative" icon={<RotateCcw size={13} aria-hidden />} onClick={() => actions.restore(file)}>
          {t.restore}
          <span className="sr-only">{file.name}</span>
        </Button>
      </div>
    );
  }
  if (file.status !== "present") return null;
  return (
    <div className="flex justify-end">
      {file.type === "speedscope" && (
        <IconButton size="sm" label={t.openFlameGraph(file.name)} onClick={() => onProfile(file)}>
          <Flame size={14} aria-hidden />
        </IconButton>
      )}
      <IconButton size="sm" label={t.download(file.name)} onClick={() => actions.download(file)}>
        <Download size={14} aria-hidden />
      </IconButton>
      {mayEdit && (
        <>
          <IconButton size="sm" label={t.copyLink(file.name)} onClick={() => actions.copyLink(file)}>
            <Link2 size={14} aria-hidden />
          </IconButton>
          <IconButton size="sm" tone="danger" label={t.remove(file.name)} onClick={() => actions.remove(file)}>
            <Trash2 size={14} aria-hidden />
          </IconButton>
        </>
      )}
    </div>
  );
}
