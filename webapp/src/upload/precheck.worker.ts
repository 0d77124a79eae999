import { readSignature, SIGNATURE_BYTES, type Signature } from "./signature";
import { guessTempo } from "./tempo";

export type CheckRequest =
  | { kind: "signature"; id: string; file: Blob }
  | { kind: "tempo"; id: string; samples: Float32Array<ArrayBuffer>; rate: number };

export type CheckResponse =
  | { kind: "signature"; id: string; signature: Signature }
  | { kind: "tempo"; id: string; bpm: number | undefined };

/** What a worker's global scope offers; the compiler's library of workers cannot be mixed with that of pages. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<CheckRequest>) => void) | null;
  postMessage: (message: CheckResponse) => void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  void answer(data).then((response) => scope.postMessage(response));
};

async function answer(request: CheckRequest): Promise<CheckResponse> {
  const { id } = request;
  if (request.kind === "tempo") return { kind: "tempo", id, bpm: guessTempo(request.samples, request.rate) };
  const head = await request.file.slice(0, SIGNATURE_BYTES).arrayBuffer();
  return { kind: "signature", id, signature: readSignature(new Uint8Array(head)) };
}
