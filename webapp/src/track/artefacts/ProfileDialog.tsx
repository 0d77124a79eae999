import { useQuery } from "@tanstack/react-query";
import { Download, Maximize } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../../api/types";
import { artefacts as t } from "../../texts/track/artefacts";
import { Button, cx, Dialog, ErrorState, Skeleton } from "../../ui";
import { blocksWithin, readProfile, type Block, type Profile } from "./profile";

export interface ProfileDialogProps {
  artefact: Schemas["Artefact"];
  onDownload: () => void;
  onClose: () => void;
}

/** Where the time of the analysis went, as a flame graph of its speedscope file. */
export function ProfileDialog({ artefact, onDownload, onClose }: ProfileDialogProps) {
  const profile = useQuery({
    queryKey: ["profile", artefact.sha256],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      if (artefact.inline_json) return readProfile(artefact.inline_json);
      const response = await fetch(artefact.url ?? "", { signal, credentials: "omit" });
      if (!response.ok) throw new Error(t.profile.failed);
      return readProfile(await response.json());
    },
  });
  const total = profile.data ? duration(profile.data.end - profile.data.start, profile.data.unit) : "";
  return (
    <Dialog
      open
      wide
      onOpenChange={onClose}
      title={t.profile.title}
      description={total === "" ? artefact.name : t.profile.text(total)}
      footer={
        <Button icon={<Download size={14} aria-hidden />} onClick={onDownload}>
          {t.profile.download}
        </Button>
      }
    >
      {profile.isPending && <Skeleton className="h-64 w-full" />}
      {profile.isError && <ErrorState error={profile.error} onRetry={() => void profile.refetch()} />}
      {profile.isSuccess && (profile.data === null || profile.data.blocks.length === 0) && <p className="text-sm text-muted">{t.profile.none}</p>}
      {profile.data && profile.data.blocks.length > 0 && <FlameGraph profile={profile.data} />}
    </Dialog>
  );
}

const ROW_PX = 22;
/** Narrower blocks would be specks; selecting the block around them shows them. */
const LEAST_SHARE = 0.002;

function FlameGraph({ profile }: { profile: Profile }) {
  const [part, setPart] = useState<Pick<Block, "start" | "end">>(profile);
  const length = part.end - part.start;
  const blocks = blocksWithin(profile.blocks, part.start, part.end).filter(({ start, end }) => end - start >= LEAST_SHARE * length);
  const isWhole = part.start === profile.start && part.end === profile.end;
  return (
    <>
      <Button size="sm" disabled={isWhole} icon={<Maximize size={13} aria-hidden />} onClick={() => setPart(profile)} className="mb-2">
        {t.profile.whole}
      </Button>
      <div className="relative overflow-hidden rounded bg-bg" style={{ height: profile.depth * ROW_PX }}>
        {blocks.map((block) => {
          const share = (block.end - block.start) / (profile.end - profile.start);
          const label = t.profile.step(block.name, duration(block.end - block.start, profile.unit), (100 * share).toFixed(1));
          return (
            <button
              key={`${block.depth} ${block.start} ${block.name}`}
              type="button"
              aria-label={label}
              title={block.place === "" ? label : `${label}\n${block.place}`}
              onClick={() => setPart(block)}
              style={{
                left: `${(100 * (block.start - part.start)) / length}%`,
                width: `${(100 * (block.end - block.start)) / length}%`,
                top: block.depth * ROW_PX,
                height: ROW_PX - 1,
              }}
              className={cx(
                "absolute truncate border-r border-bg px-1 text-left text-2xs -outline-offset-2",
                block.depth % 2 === 0 ? "bg-accent-soft text-text hover:bg-hover" : "bg-raised text-text hover:bg-hover",
              )}
            >
              {block.name}
            </button>
          );
        })}
      </div>
    </>
  );
}

function duration(value: number, unit: string): string {
  if (unit !== "seconds") return `${Math.round(value)} ${unit}`;
  return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`;
}
