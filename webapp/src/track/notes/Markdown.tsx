import { Fragment, type ReactNode } from "react";
import { track as trackTexts } from "../../texts/track/track";
import { cx } from "../../ui";
import { parseMarkdown, type Block, type Inline, type ListItem } from "./markdown";

/** Shows the Markdown of a note. */
export function Markdown({ text }: { text: string }) {
  return (
    <div className="flex max-w-[72ch] flex-col gap-2 text-sm break-words">
      {parseMarkdown(text).map((block, index) => (
        <Fragment key={index}>{blockOf(block)}</Fragment>
      ))}
    </div>
  );
}

function blockOf(block: Block): ReactNode {
  switch (block.kind) {
    case "heading":
      return <p role="heading" aria-level={block.level + 1} className={cx("pt-1 font-semibold", block.level === 1 ? "text-lg" : "text-base")}>{inline(block.children)}</p>;
    case "paragraph":
      return <p className="whitespace-pre-line">{inline(block.children)}</p>;
    case "quote":
      return <blockquote className="border-l-2 border-line-strong pl-3 whitespace-pre-line text-soft">{inline(block.children)}</blockquote>;
    case "code":
      return <pre className="overflow-x-auto rounded border border-line bg-bg p-2 font-mono text-xs" tabIndex={0}>{block.text}</pre>;
    case "rule":
      return <hr className="border-line" />;
    case "list":
      return block.ordered ? (
        <ol className="list-decimal pl-6">{block.items.map(itemOf)}</ol>
      ) : (
        <ul className="list-disc pl-6">{block.items.map(itemOf)}</ul>
      );
  }
}

function itemOf({ children, done }: ListItem, index: number): ReactNode {
  if (done === null) return <li key={index}>{inline(children)}</li>;
  return (
    <li key={index} className="-ml-5 flex list-none gap-2">
      <span aria-label={done ? trackTexts.notes.done : trackTexts.notes.open} role="img">
        {done ? "☑" : "☐"}
      </span>
      <span className={cx(done && "text-muted line-through")}>{inline(children)}</span>
    </li>
  );
}

function inline(parts: readonly Inline[]): ReactNode {
  return parts.map((part, index) => {
    switch (part.kind) {
      case "strong":
        return <strong key={index}>{inline(part.children)}</strong>;
      case "em":
        return <em key={index}>{inline(part.children)}</em>;
      case "link":
        return (
          <a key={index} href={part.href} target="_blank" rel="noreferrer noopener" className="text-accent underline">
            {inline(part.children)}
          </a>
        );
      case "code":
        return <code key={index} className="rounded bg-hover px-1 font-mono text-xs">{part.text}</code>;
      default:
        return part.text;
    }
  });
}
