/*
 * The colouring of code: a heavy chunk, fetched when the first code block is there.
 * Promises: until it has come, code is shown plain; if it cannot be fetched, code stays plain and nothing is said.
 * Does not cover: guessing a language. A block without a name, or with an unknown one, is not coloured.
 */
import { useEffect } from "react";
import type { Options } from "react-markdown";
import { Cell, useCell } from "../cell";

type Plugins = NonNullable<Options["rehypePlugins"]>;

const NONE: Plugins = [];
const loaded = new Cell<Plugins>(NONE);
let fetching: Promise<void> | null = null;

async function fetchOnce(): Promise<void> {
  try {
    const { default: rehypeHighlight } = await import("rehype-highlight");
    loaded.set([[rehypeHighlight, { detect: false }]]);
  } catch {
    fetching = null;
  }
}

export function useHighlighter(wanted: boolean): Plugins {
  const plugins = useCell(loaded);
  useEffect(() => {
    if (wanted) fetching ??= fetchOnce();
  }, [wanted]);
  return wanted ? plugins : NONE;
}
