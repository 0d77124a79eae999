// @vitest-environment node
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parseInline, parseMarkdown, type Inline } from "./markdown";

it("knows headings, paragraphs, lists, tasks, quotes, code and rules", () => {
  const blocks = parseMarkdown("# Cue\nfirst line\nsecond line\n\n- one\n- [x] two\n\n1. a\n2. b\n\n> said\n\n```\n# no heading\n```\n---");
  expect(blocks.map(({ kind }) => kind)).toEqual(["heading", "paragraph", "list", "list", "quote", "code", "rule"]);
  expect(blocks[1]).toEqual({ kind: "paragraph", children: [{ kind: "text", text: "first line\nsecond line" }] });
  expect(blocks[2]).toMatchObject({ ordered: false, items: [{ done: null }, { done: true }] });
  expect(blocks[3]).toMatchObject({ ordered: true });
  expect(blocks[5]).toEqual({ kind: "code", text: "# no heading" });
});

it("knows the marks inside a line", () => {
  expect(parseInline("a **b** `c` *d* [e](https://x.test/) end")).toEqual([
    { kind: "text", text: "a " },
    { kind: "strong", children: [{ kind: "text", text: "b" }] },
    { kind: "text", text: " " },
    { kind: "code", text: "c" },
    { kind: "text", text: " " },
    { kind: "em", children: [{ kind: "text", text: "d" }] },
    { kind: "text", text: " " },
    { kind: "link", href: "https://x.test/", children: [{ kind: "text", text: "e" }] },
    { kind: "text", text: " end" },
  ]);
  expect(parseInline("see https://x.test/a.")).toMatchObject([{ text: "see " }, { kind: "link", href: "https://x.test/a" }, { text: "." }]);
});

it("follows no address that could run something", () => {
  expect(parseInline("[x](javascript:alert`1`)")).toEqual([{ kind: "text", text: "[x](javascript:alert`1`)" }]);
  expect(parseInline("[x](//evil.test)")).toEqual([{ kind: "text", text: "[x](//evil.test)" }]);
});

const words = (parts: readonly Inline[]): string =>
  parts.map((part) => ("children" in part ? words(part.children) : part.text)).join("");

it("loses no text that has no marks, and ends for any text", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z .,!?]*$/), (text) => {
      expect(words(parseInline(text))).toBe(text);
    }),
  );
  const signs = fc.string({ unit: fc.constantFrom("#", " ", "-", "`", "*", "_", "[", "]", "(", ")", "\n", ">", "1", ".", "a") });
  fc.assert(
    fc.property(signs, (text) => {
      expect(parseMarkdown(text).length).toBeLessThanOrEqual(text.split("\n").length);
    }),
  );
});
