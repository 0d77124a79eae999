import { useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { formatTime } from "../../app/format";
import { artefacts as t } from "../../texts/track/artefacts";
import { toastDone, toastError, toastMessage, toastUndo } from "../../ui";
import { saveFile } from "../charts/export";

type Artefact = Schemas["Artefact"];

export interface ArtefactActions {
  readonly copyHash: (file: Artefact) => void;
  /** Copies a link that works without signing in for a day. */
  readonly copyLink: (file: Artefact) => void;
  readonly download: (file: Artefact) => void;
  /** Deletes a file; the message offers to undo it. */
  readonly remove: (file: Artefact) => void;
  readonly restore: (file: Artefact) => void;
}

/** Return what can be done with the files of a version. */
export function useArtefactActions(trackId: string, version: number): ArtefactActions {
  const queryClient = useQueryClient();
  const refresh = (): void => void queryClient.invalidateQueries({ queryKey: keys.track(trackId) });
  const params = (file: Artefact) => ({ path: { track_id: trackId, version, artefact_id: file.id ?? "" } });

  const restore = (file: Artefact, body: Schemas["RestoreArtefactBody"]): void => {
    const answer = api.POST("/tracks/{track_id}/versions/{version}/artefacts/{artefact_id}/restore", { params: params(file), body });
    unwrap(answer).then(() => {
      toastDone(t.restored(file.name));
      refresh();
    }, toastError);
  };

  return {
    copyHash: ({ sha256 }) => copy(sha256 ?? "", t.hashCopied, ""),
    copyLink: (file) => {
      const answer = api.POST("/tracks/{track_id}/versions/{version}/artefacts/{artefact_id}/copy-link", { params: params(file), body: {} });
      unwrap(answer).then(({ path, link }) => copy(location.origin + path, t.linkCopied, t.linkText(formatTime(link.expires_at))), toastError);
    },
    download: (file) => {
      fetchFile(file).then((blob) => saveFile(file.name, blob), toastError);
    },
    remove: (file) => {
      unwrap(api.DELETE("/tracks/{track_id}/versions/{version}/artefacts/{artefact_id}", { params: params(file) })).then(({ undo_token }) => {
        refresh();
        toastUndo(t.removed(file.name), () => restore(file, { undo_token }));
      }, toastError);
    },
    restore: (file) => restore(file, {}),
  };
}

async function fetchFile({ url }: Artefact): Promise<Blob> {
  const response = await fetch(url ?? "", { credentials: "omit" });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.blob();
}

function copy(text: string, done: string, description: string): void {
  navigator.clipboard.writeText(text).then(
    () => toastDone(done, { description }),
    () => toastMessage(t.copyFailed, { description: text }),
  );
}
