/*
 * A model's answer, drawn from Markdown.
 * Promises: raw HTML is shown as text, never made into elements; images are never fetched, only named with a link; links
 * lead only to http, https and mailto, in a new tab that knows nothing of this one; while the answer grows, only its last
 * block is parsed again. Does not cover: mathematics and diagrams.
 */
import { memo, useMemo, type ComponentPropsWithoutRef, type ReactNode } from "react";
import ReactMarkdown, { type Components, type ExtraProps } from "react-markdown";
import remarkGfm from "remark-gfm";
import { safeAddress } from "./address";
import { cutBlocks } from "./blocks";
import { CodeBlock } from "./code-block";
import { useHighlighter } from "./highlighter";

type Props<Tag extends keyof React.JSX.IntrinsicElements> = ComponentPropsWithoutRef<Tag> & ExtraProps;

/** While a code block is longer than this and still growing, it is not coloured: that would be done anew with each piece. */
const COLOUR_WHILE_GROWING = 6000;

const PLUGINS = [remarkGfm];

function Link({ href, children }: { href: string | undefined; children: ReactNode }) {
  if (!href) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

const COMPONENTS: Components = {
  a: ({ href, children }: Props<"a">) => <Link href={href}>{children}</Link>,
  img: ({ src, alt }: Props<"img">) => (
    <span className="image-stand-in">
      <Link href={typeof src === "string" && src !== "" ? src : undefined}>Image: {alt || "without a description"}</Link>
    </span>
  ),
  pre: ({ node, children }: Props<"pre">) => <CodeBlock node={node}>{children}</CodeBlock>,
  table: ({ children }: Props<"table">) => (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
};

const Block = memo(function Block({ text, colour }: { text: string; colour: boolean }) {
  const highlighter = useHighlighter(colour && /```|~~~/.test(text));
  return (
    <ReactMarkdown
      remarkPlugins={PLUGINS}
      rehypePlugins={highlighter}
      components={COMPONENTS}
      urlTransform={(address) => safeAddress(address) ?? ""}
    >
      {text}
    </ReactMarkdown>
  );
});

/** A finished answer. */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return (
    <div className="prose">
      <Block text={text} colour />
    </div>
  );
});

/** An answer that is still coming in. */
export function GrowingMarkdown({ text }: { text: string }) {
  const blocks = useMemo(() => cutBlocks(text), [text]);
  return (
    <div className="prose growing">
      {blocks.map((block, index) => (
        <div className="block" key={index}>
          <Block text={block} colour={index < blocks.length - 1 || block.length < COLOUR_WHILE_GROWING} />
        </div>
      ))}
    </div>
  );
}
