/** What a file is by its first bytes, or what it is instead of audio. */
export type Signature = { kind: AudioKind } | { other: string };

export type AudioKind = "mp3" | "wav" | "flac" | "ogg" | "m4a" | "aiff";

/** How many bytes `readSignature` looks at. */
export const SIGNATURE_BYTES = 4096;

const OTHER_FILES: readonly (readonly [string, string])[] = [
  ["%PDF", "a PDF document"],
  ["\x89PNG", "a PNG image"],
  ["\xff\xd8\xff", "a JPEG image"],
  ["GIF8", "a GIF image"],
  ["PK\x03\x04", "a ZIP archive"],
  ["\x1f\x8b", "a gzip archive"],
  ["\x1a\x45\xdf\xa3", "a Matroska or WebM file"],
  ["\x30\x26\xb2\x75", "a Windows Media file"],
  ["FORM", "an IFF file other than AIFF"],
  ["RIFF", "a RIFF file other than WAV"],
  ["MThd", "a MIDI file"],
  ["\x7fELF", "a program"],
  ["MZ", "a program"],
];
const OGG_CODECS = ["\x01vorbis", "OpusHead", "\x7fFLAC"];
/** Bits of an MPEG frame header that are never all set in audio: layer, bit rate, sample rate. */
const ADTS_LAYER = 0;

/**
 * Recognises a file by its first bytes, as the server does, so that a wrong file is refused before it is sent.
 *
 * A claim only: whether the audio behind it is sound is found by decoding it.
 */
export function readSignature(head: Uint8Array): Signature {
  const text = latin1(head);
  if (text.length === 0) return { other: "empty" };
  if (/^(RIFF|RF64|BW64)[^]{4}WAVE/.test(text)) return { kind: "wav" };
  if (/^FORM[^]{4}AIF[FC]/.test(text)) return { kind: "aiff" };
  if (text.startsWith("fLaC")) return { kind: "flac" };
  if (text.startsWith("OggS")) return OGG_CODECS.some((codec) => text.startsWith(codec, 28)) ? { kind: "ogg" } : { other: "an Ogg file without Vorbis, Opus or FLAC" };
  if (text.startsWith("ftyp", 4)) return /^(M4[ABP] |iso[m2456]|mp4[12]|dash|avc1)/.test(text.slice(8, 12)) ? { kind: "m4a" } : { other: `an MP4 file of the kind “${text.slice(8, 12).trim()}”` };
  if (text.startsWith("ID3")) return { kind: "mp3" };
  const known = OTHER_FILES.find(([magic]) => text.startsWith(magic));
  if (known) return { other: known[1] };
  if (isAdts(head)) return { other: "an AAC stream without a container" };
  if (frameAt(head) >= 0) return { kind: "mp3" };
  return { other: isText(head) ? "a text" : "of an unknown kind" };
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 64), (byte) => String.fromCharCode(byte)).join("");
}

function isAdts(head: Uint8Array): boolean {
  return head[0] === 0xff && ((head[1] ?? 0) & 0xf0) === 0xf0 && (((head[1] ?? 0) >> 1) & 3) === ADTS_LAYER;
}

/** Returns where the first header of an MPEG audio frame stands: silence may precede it. */
function frameAt(head: Uint8Array): number {
  const first = head.findIndex((byte) => byte !== 0);
  if (first < 0 || head[first] !== 0xff) return -1;
  const [second = 0, third = 0] = head.subarray(first + 1, first + 3);
  const isFrame = (second & 0xe0) === 0xe0 && ((second >> 3) & 3) !== 1 && ((second >> 1) & 3) !== 0 && third >> 4 !== 15 && ((third >> 2) & 3) !== 3;
  return isFrame ? first : -1;
}

function isText(head: Uint8Array): boolean {
  const text = new TextDecoder().decode(head.subarray(0, 512), { stream: true });
  return !/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text);
}
