/*
 * A block of code: its language's name, a button that copies it, and the code, scrolling sideways by itself.
 * Promises: what is copied is the code as written. Does not cover: colouring (highlighter.ts) and running.
 */
import type { ReactNode } from "react";
import type { ExtraProps } from "react-markdown";
import { CopyButton } from "../page/copy-button";
import { languageName } from "./language";

type Node = NonNullable<ExtraProps["node"]>;
type Child = Node["children"][number];

function textOf(node: Node | Child): string {
  if (node.type === "text") return node.value;
  return "children" in node ? node.children.map(textOf).join("") : "";
}

function languageOf(node: Node): string | null {
  const code = node.children.find((child) => child.type === "element" && child.tagName === "code");
  if (code?.type !== "element") return null;
  const names = code.properties["className"];
  if (!Array.isArray(names)) return null;
  const tag = names.map(String).find((name) => name.startsWith("language-"));
  return tag ? tag.slice("language-".length) : null;
}

export function CodeBlock({ node, children }: { node: Node | undefined; children: ReactNode }) {
  const tag = node ? languageOf(node) : null;
  const name = tag ? languageName(tag) : "Text";
  return (
    <figure className="code" aria-label={`Code: ${name}`}>
      <figcaption>
        <span className="code-language">{name}</span>
        <CopyButton label="Copy code" text={() => (node ? textOf(node).replace(/\n$/, "") : "")} />
      </figcaption>
      <pre tabIndex={0}>{children}</pre>
    </figure>
  );
}
