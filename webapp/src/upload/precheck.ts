import type { CheckRequest, CheckResponse } from "./precheck.worker";
import { MAX_BYTES, MAX_MS } from "./queue";
import { uploadTexts } from "../texts/upload";
import { TEMPO_RATE } from "./tempo";

const t = uploadTexts.refusals;
/** The guess of the tempo hears so much from the middle of a song. */
const HEARD_SECONDS = 60;
const LEAST_MS = 1000;

export interface CheckHandlers {
  refused: (reason: string) => void;
  /** The file may be sent; the duration is unknown where this browser cannot decode the format. */
  passed: (duration_ms: number | undefined) => void;
  guessed: (bpm: number) => void;
}

let worker: Worker | undefined;
const waiting = new Map<string, (response: CheckResponse) => void>();
let lastId = 0;
// Decoded audio is large: one song at a time.
let decoding: Promise<unknown> = Promise.resolve();

/** Checks a file before anything of it is sent: size, first bytes, duration; and guesses its tempo. */
export async function checkFile(file: File, handlers: CheckHandlers): Promise<void> {
  const reason = await reasonToRefuse(file);
  if (reason) return handlers.refused(reason);
  const turn = decoding.then(() => checkSound(file, handlers));
  decoding = turn.catch(() => undefined);
  return turn;
}

/** Returns why a file is refused by its size and first bytes, in a few milliseconds. */
async function reasonToRefuse(file: File): Promise<string | undefined> {
  if (file.size === 0) return t.empty;
  if (file.size > MAX_BYTES) return t.tooLarge(file.size);
  const response = await ask({ kind: "signature", id: nextId(), file });
  if (response.kind !== "signature" || "kind" in response.signature) return undefined;
  return t.noAudio(response.signature.other);
}

async function checkSound(file: File, handlers: CheckHandlers): Promise<void> {
  const sound = await decode(file);
  if (!sound) return handlers.passed(undefined);
  const duration_ms = sound.duration * 1000;
  if (duration_ms > MAX_MS) return handlers.refused(t.tooLong);
  if (duration_ms < LEAST_MS) return handlers.refused(t.tooShort);
  handlers.passed(duration_ms);
  const samples = middleOf(sound);
  const response = await ask({ kind: "tempo", id: nextId(), samples, rate: sound.sampleRate }, [samples.buffer]);
  if (response.kind === "tempo" && response.bpm !== undefined) handlers.guessed(response.bpm);
}

/** Decodes at a low rate, off the main thread; undefined where this browser cannot: the server then decides. */
async function decode(file: File): Promise<AudioBuffer | undefined> {
  try {
    return await new OfflineAudioContext(1, 1, TEMPO_RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}

function middleOf(sound: AudioBuffer): Float32Array<ArrayBuffer> {
  const length = Math.min(sound.length, HEARD_SECONDS * sound.sampleRate);
  const start = Math.floor((sound.length - length) / 2);
  const mixed = new Float32Array(length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const data = sound.getChannelData(channel);
    for (let index = 0; index < length; index++) mixed[index] = (mixed[index] ?? 0) + (data[start + index] ?? 0);
  }
  return mixed;
}

/** Starts the worker ahead of the first file, so that a wrong one is refused at once. */
export function warmUp(): void {
  worker ??= startWorker();
}

function ask(request: CheckRequest, transfer: Transferable[] = []): Promise<CheckResponse> {
  worker ??= startWorker();
  const target = worker;
  return new Promise((resolve) => {
    waiting.set(request.id, resolve);
    target.postMessage(request, transfer);
  });
}

function startWorker(): Worker {
  const started = new Worker(new URL("./precheck.worker.ts", import.meta.url), { type: "module" });
  started.onmessage = ({ data }: MessageEvent<CheckResponse>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  return started;
}

function nextId(): string {
  return String(++lastId);
}
