import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSignature } from "./signature";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("the first bytes of a file", () => {
  it.each([
    ["RIFF\0\0\0\0WAVEfmt ", "wav"],
    ["FORM\0\0\0\0AIFF", "aiff"],
    ["fLaC\0", "flac"],
    [`OggS${"\0".repeat(24)}OpusHead`, "ogg"],
    ["\0\0\0\x20ftypM4A ", "m4a"],
    ["ID3\x04", "mp3"],
    ["\xff\xfb\x90\x64", "mp3"],
    ["\0\0\0\xff\xfb\x90\x64", "mp3"],
  ])("%j is %s", (text, kind) => {
    expect(readSignature(bytes(text))).toEqual({ kind });
  });

  it.each([
    ["", "empty"],
    ["%PDF-1.7", "a PDF document"],
    ["\x89PNG\r\n", "a PNG image"],
    ["RIFF\0\0\0\0AVI ", "a RIFF file other than WAV"],
    [`OggS${"\0".repeat(24)}\x80theora`, "an Ogg file without Vorbis, Opus or FLAC"],
    ["\xff\xf1\x50\x80", "an AAC stream without a container"],
    ["Shopping list: bread", "a text"],
    ["\x01\x02\x03\x04", "of an unknown kind"],
  ])("%j is %s", (text, other) => {
    expect(readSignature(bytes(text))).toEqual({ other });
  });

  it("never fails, whatever they are", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (head) => {
      const signature = readSignature(head);
      expect("kind" in signature || signature.other.length > 0).toBe(true);
    }));
  });
});
