import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, unwrapTagged } from "../../api/client";
import { ApiError } from "../../api/errors";
import { trackDetail } from "../../api/queries";
import type { Schemas } from "../../api/types";

const SAVE_AFTER_MS = 800;

export type NotesStatus = "saved" | "unsaved" | "saving" | "failed";

export interface Notes {
  readonly text: string;
  readonly status: NotesStatus;
  /** Notes that someone else wrote meanwhile; null where there are none. */
  readonly theirs: string | null;
  readonly change: (text: string) => void;
  /** Saves at once. */
  readonly flush: () => void;
  readonly takeTheirs: () => void;
  readonly keepMine: () => void;
}

const keyOf = (trackId: string): string => `k1.notes.${trackId}`;

/** Keeps the notes of a track, and saves them a moment after the last key. Nobody's text is overwritten unseen. */
export function useNotes(track: Schemas["Track"]): Notes {
  const queryClient = useQueryClient();
  const onServer = track.notes ?? "";
  const [base, setBase] = useState(onServer);
  const [seen, setSeen] = useState(onServer);
  const [text, setText] = useState(() => sessionStorage.getItem(keyOf(track.id)) ?? onServer);
  const [status, setStatus] = useState<NotesStatus>("saved");
  const [theirs, setTheirs] = useState<string | null>(null);
  const isDirty = text !== base;

  // What the server tells: taken where nothing is written here, offered where something is. Right after a save the
  // page still holds the notes from before it, so only a change of what it holds counts.
  useEffect(() => {
    if (onServer === seen || status === "saving") return;
    setSeen(onServer);
    if (onServer === base) return;
    if (!isDirty || onServer === text) setText(onServer);
    else setTheirs(onServer);
    setBase(onServer);
  }, [onServer, seen, base, status, isDirty, text]);

  useEffect(() => {
    if (isDirty) sessionStorage.setItem(keyOf(track.id), text);
    else sessionStorage.removeItem(keyOf(track.id));
  }, [track.id, text, isDirty]);

  const save = useCallback(async (): Promise<void> => {
    setStatus("saving");
    try {
      const found = await saveNotes(queryClient, track.id, base, text);
      if (found === null) setBase(text);
      else {
        setTheirs(found);
        setBase(found);
      }
      setStatus("saved");
    } catch {
      setStatus("failed");
    }
  }, [queryClient, track.id, base, text]);

  const canSave = isDirty && theirs === null && status !== "saving";
  const latest = useRef({ canSave, save });
  useEffect(() => {
    latest.current = { canSave, save };
  });
  const flush = useCallback(() => {
    if (latest.current.canSave) void latest.current.save();
  }, []);
  useEffect(() => {
    if (!canSave || status === "failed") return undefined;
    const timer = setTimeout(flush, SAVE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [canSave, status, text, flush]);
  useEffect(() => flush, [flush]);

  return {
    text,
    status: status === "saved" && isDirty ? "unsaved" : status,
    theirs,
    change: (next) => {
      setText(next);
      if (status === "failed") setStatus("saved");
    },
    flush,
    takeTheirs: () => {
      setText(theirs ?? text);
      setTheirs(null);
    },
    keepMine: () => setTheirs(null),
  };
}

/** Save notes that were written over a base. Return null, or the notes that someone else has written meanwhile. */
async function saveNotes(queryClient: QueryClient, trackId: string, base: string, text: string): Promise<string | null> {
  const known = await queryClient.ensureQueryData(trackDetail(trackId));
  try {
    await patchNotes(queryClient, trackId, known.etag, text);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 412) throw error;
    // Something of the track has changed. Only other notes are in the way of these.
    const fresh = await queryClient.fetchQuery({ ...trackDetail(trackId), staleTime: 0 });
    const notes = fresh.data.track.notes ?? "";
    if (notes !== base && notes !== text) return notes;
    await patchNotes(queryClient, trackId, fresh.etag, text);
  }
  return null;
}

async function patchNotes(queryClient: QueryClient, trackId: string, etag: string | undefined, text: string): Promise<void> {
  const params = { path: { track_id: trackId }, header: etag === undefined ? {} : { "If-Match": etag } };
  const saved = await unwrapTagged(api.PATCH("/tracks/{track_id}", { params, body: { notes: text === "" ? null : text } }));
  queryClient.setQueryData(trackDetail(trackId).queryKey, saved);
}
