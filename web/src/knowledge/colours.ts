/*
 * The colours of a document's code, line by line, by the highlighter that answers have.
 * Promises: pure but for the highlighter's coming; the pieces of a line joined are the line; what the highlighter does not know, or
 * cannot do, has no colours. Does not cover: a document that is not here from its first line on: what a line means depends on those
 * before it.
 */
import { useMemo } from "react";
import { useHighlighter } from "../thread/highlighter";
import { upTo, type ReadingView } from "./reading";

export interface Piece {
  text: string;
  /** Classes of the highlighter; "": none. */
  name: string;
}

/** As much of it as the highlighter needs. */
interface Node {
  type: string;
  value?: string;
  tagName?: string;
  properties?: { className?: unknown };
  children?: Node[];
}

type Transform = (tree: Node, file: { message: () => void }) => void;

/** Letters that are coloured at most: it is done anew whenever lines come in. */
const MOST = 200_000;
/** The daemon's names of languages, where the highlighter has others; kinds that are code by themselves. */
const NAMES: Record<string, string> = { c_sharp: "csharp", tsx: "typescript", toml: "ini", make: "makefile", vue: "xml", svelte: "xml" };

export function useColours(view: ReadingView): Piece[][] | null {
  const language = view.language || (view.kind === "json" ? "json" : "");
  const size = view.lines.reduce((sum, line) => sum + line.length, 0);
  const wanted = language !== "" && view.from === 1 && upTo(view) > 0 && size <= MOST;
  const [plugin] = useHighlighter(wanted);
  return useMemo(() => {
    if (!wanted || !Array.isArray(plugin)) return null;
    const [make, options] = plugin as unknown as [(options: unknown) => Transform, unknown];
    return colouredLines(make(options), view.lines, NAMES[language] ?? language);
  }, [wanted, plugin, view.lines, language]);
}

export function colouredLines(transform: Transform, lines: readonly string[], language: string): Piece[][] | null {
  const code: Node = { type: "element", tagName: "code", properties: { className: [`language-${language}`] }, children: [{ type: "text", value: lines.join("\n") }] };
  try {
    transform({ type: "root", children: [{ type: "element", tagName: "pre", properties: {}, children: [code] }] }, { message: () => undefined });
  } catch {
    return null; // a language it does not know
  }
  const found: Piece[][] = [[]];
  const walk = (node: Node, name: string): void => {
    if (node.type === "text") {
      (node.value ?? "").split("\n").forEach((text, index) => {
        if (index > 0) found.push([]);
        if (text !== "") found.at(-1)?.push({ text, name });
      });
      return;
    }
    const own = node.properties?.className;
    const inner = Array.isArray(own) && node.tagName === "span" ? own.join(" ") : name;
    for (const child of node.children ?? []) walk(child, inner);
  };
  walk(code, "");
  return found.length === lines.length ? found : null;
}
