import { useSyncExternalStore } from "react";
import { api } from "../api/client";
import type { FeedEvent } from "../api/types";
import { uploadTexts } from "../texts/upload";
import { checkFile } from "./precheck";
import { nextToSend, reduceQueue, type Queue, type QueueAction } from "./queue";
import { sendFile, type Sending } from "./sender";

// Uploads go on whichever page is shown, so they live outside of components.
let queue: Queue = [];
const listeners = new Set<() => void>();
const files = new Map<string, File>();
const sendings = new Map<string, Sending>();
let lastId = 0;
const LATE_MS = 8_000;

/** Returns the queue of uploads. */
export function useQueue(): Queue {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => queue,
  );
}

/** Takes files into the queue: they are checked, sent one after another, and analysed. */
export function addFiles(added: Iterable<File>): void {
  const items = [...added].map((file) => ({ id: `u${++lastId}`, name: file.name, size: file.size, file }));
  if (items.length === 0) return;
  for (const { id, file } of items) files.set(id, file);
  apply({ kind: "added", items: items.map(({ id, name, size }) => ({ id, name, size })) });
  for (const { id, file } of items) {
    void checkFile(file, {
      refused: (reason) => apply({ kind: "refused", id, reason }),
      passed: (duration_ms) => apply({ kind: "checked", id, ...(duration_ms === undefined ? {} : { duration_ms }) }),
      guessed: (bpm) => apply({ kind: "guessed", id, bpm }),
    });
  }
}

/** Stops sending a file; what has arrived is kept. */
export function pauseUpload(id: string): void {
  apply({ kind: "paused", id });
  sendings.get(id)?.pause();
  sendings.delete(id);
}

export function resumeUpload(id: string): void {
  apply({ kind: "resumed", id });
}

export function retryUpload(id: string): void {
  apply({ kind: "retried", id });
}

/** Removes a file from the queue; one that is being sent is forgotten by the server too. */
export function removeUpload(id: string): void {
  sendings.get(id)?.cancel();
  forget(id);
  apply({ kind: "removed", id });
}

export function pauseAll(): void {
  for (const { id, phase } of queue) if (phase === "waiting" || phase === "sending") pauseUpload(id);
}

export function resumeAll(): void {
  for (const { id, phase } of queue) if (phase === "paused") resumeUpload(id);
}

/** Removes what has ended from the list. */
export function clearEnded(): void {
  apply({ kind: "cleared" });
}

/** Notes how the analysis of an uploaded song ended. */
export function noteEvent(event: FeedEvent): void {
  if (event.type === "analysis.completed") apply({ kind: "analysed", jobId: event.data.job_id });
  else if (event.type === "analysis.failed") apply({ kind: "analysed", jobId: event.data.job_id, reason: event.data.message });
  else if (event.type === "analysis.cancelled") apply({ kind: "analysed", jobId: event.data.job_id, reason: uploadTexts.analysisCancelled });
  else if (event.type === "gap") for (const { jobId, phase } of queue) if (jobId && phase === "analysing") void readJob(jobId);
}

/** Asks for a job whose end was told before the answer to the upload came. It is asked late: a new job may not be there yet. */
function readWhenMissed(jobId: string): void {
  if (queue.some((item) => item.jobId === jobId && item.phase === "analysing")) void readJob(jobId);
}

/** Asks how a job ended: its event may have come before the answer to the upload, or been missed. */
async function readJob(job_id: string): Promise<void> {
  const { data: job } = await api.GET("/analysis/jobs/{job_id}", { params: { path: { job_id } } }).catch(() => ({ data: undefined }));
  if (job?.status === "completed") apply({ kind: "analysed", jobId: job_id });
  else if (job?.status === "failed") apply({ kind: "analysed", jobId: job_id, reason: job.error?.message ?? uploadTexts.analysisFailed });
  else if (job?.status === "cancelled") apply({ kind: "analysed", jobId: job_id, reason: uploadTexts.analysisCancelled });
}

function apply(action: QueueAction): void {
  queue = reduceQueue(queue, action);
  for (const listener of listeners) listener();
  for (const id of nextToSend(queue)) send(id);
}

function send(id: string): void {
  const file = files.get(id);
  if (!file) return;
  queue = reduceQueue(queue, { kind: "started", id });
  const isSending = () => queue.some((item) => item.id === id && item.phase === "sending");
  void sendFile(file, {
    progressed: (sent) => isSending() && apply({ kind: "progressed", id, sent }),
    arrived: (trackId, jobId, outcome) => {
      forget(id);
      apply({ kind: "arrived", id, trackId, jobId, outcome });
      if (jobId) setTimeout(() => readWhenMissed(jobId), LATE_MS);
    },
    failed: (reason, retryable) => apply({ kind: "failed", id, reason, retryable }),
  }).then((sending) => {
    if (isSending()) sendings.set(id, sending);
    else sending.pause();
  }, () => apply({ kind: "failed", id, reason: uploadTexts.noAnswer, retryable: true }));
}

function forget(id: string): void {
  files.delete(id);
  sendings.delete(id);
}
