/** Parses the Markdown of notes into blocks: headings, lists, quotes, code, and the usual marks inside a line. Pure.
 *
 * It makes values and no HTML, so nothing in a note can become a part of the page.
 */

export type Inline =
  | { readonly kind: "text" | "code"; readonly text: string }
  | { readonly kind: "strong" | "em"; readonly children: readonly Inline[] }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Inline[] };

export interface ListItem {
  readonly children: readonly Inline[];
  /** Null for an item that is no task. */
  readonly done: boolean | null;
}

export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: "paragraph" | "quote"; readonly children: readonly Inline[] }
  | { readonly kind: "list"; readonly ordered: boolean; readonly items: readonly ListItem[] }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "rule" };

const FENCE = /^```/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;
const TASK = /^\[([ xX])\]\s+(.*)$/;
const QUOTE = /^>\s?(.*)$/;
const MARKS = /`([^`]+)`|\*\*(.+?)\*\*|__(.+?)__|\*([^*\s][^*]*)\*|\b_([^_\s][^_]*)_\b|\[([^\]]+)\]\(([^()\s]+)\)|(https?:\/\/[^\s<>()]*[^\s<>().,;:!?])/;

/** Return the blocks of a text. */
export function parseMarkdown(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks: Block[] = [];
  let at = 0;
  /** Take lines as long as a pattern matches; return what its groups hold. */
  const take = (pattern: RegExp): RegExpExecArray[] => {
    const found: RegExpExecArray[] = [];
    for (let match = pattern.exec(lines[at] ?? ""); match !== null && at < lines.length; match = pattern.exec(lines[at] ?? "")) {
      found.push(match);
      at += 1;
    }
    return found;
  };
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const heading = HEADING.exec(line);
    if (line.trim() === "") at += 1;
    else if (FENCE.test(line)) {
      const end = lines.findIndex((each, index) => index > at && FENCE.test(each));
      const last = end === -1 ? lines.length : end;
      blocks.push({ kind: "code", text: lines.slice(at + 1, last).join("\n") });
      at = last + 1;
    } else if (heading) {
      blocks.push({ kind: "heading", level: heading[1]?.length ?? 1, children: parseInline(heading[2] ?? "") });
      at += 1;
    } else if (RULE.test(line)) {
      blocks.push({ kind: "rule" });
      at += 1;
    } else if (ITEM.test(line)) {
      const ordered = ITEM.exec(line)?.[1] !== undefined;
      blocks.push({ kind: "list", ordered, items: take(ITEM).map((match) => itemOf(match[2] ?? "")) });
    } else if (QUOTE.test(line)) {
      blocks.push({ kind: "quote", children: parseInline(take(QUOTE).map((match) => match[1] ?? "").join("\n")) });
    } else {
      const text = take(/^(?=.*\S)(?!#{1,6}\s|```|>|\s*(?:[-*+]|\d+[.)])\s).*$/).map(([whole]) => whole);
      // A line that begins like another block but is none stands for itself.
      if (text.length === 0) text.push(lines[at++] ?? "");
      blocks.push({ kind: "paragraph", children: parseInline(text.join("\n")) });
    }
  }
  return blocks;
}

function itemOf(text: string): ListItem {
  const task = TASK.exec(text);
  if (task === null) return { children: parseInline(text), done: null };
  return { children: parseInline(task[2] ?? ""), done: task[1] !== " " };
}

/** Return the parts of a line. */
export function parseInline(text: string): Inline[] {
  const match = MARKS.exec(text);
  if (match === null) return text === "" ? [] : [{ kind: "text", text }];
  const before = text.slice(0, match.index);
  const after = parseInline(text.slice(match.index + match[0].length));
  return [...(before === "" ? [] : [{ kind: "text", text: before } as const]), inlineOf(match), ...after];
}

function inlineOf([whole, code, strong, otherStrong, em, otherEm, label, href, address]: RegExpExecArray): Inline {
  if (code !== undefined) return { kind: "code", text: code };
  const bold = strong ?? otherStrong;
  if (bold !== undefined) return { kind: "strong", children: parseInline(bold) };
  const italic = em ?? otherEm;
  if (italic !== undefined) return { kind: "em", children: parseInline(italic) };
  if (address !== undefined) return { kind: "link", href: address, children: [{ kind: "text", text: address }] };
  if (label !== undefined && href !== undefined && isSafe(href)) return { kind: "link", href, children: parseInline(label) };
  return { kind: "text", text: whole };
}

/** Tell whether an address may be followed: the web, mail, or a place in this page. */
function isSafe(href: string): boolean {
  return /^(https?:\/\/|mailto:|\/(?!\/)|#)/i.test(href);
}
