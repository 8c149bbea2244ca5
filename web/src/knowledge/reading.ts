/*
 * A document that is looked into: the lines that are here, and which of them one came for.
 * Promises: lines are whole, in order and without a gap; what is longer than the daemon gives at once goes on with the next line,
 * and that is said; an answer for a document that was closed is dropped. States: closed -> open -> closed.
 * Does not cover: drawing (viewer.tsx). The text is data: it is shown as text and nothing else.
 */
import { Cell } from "../cell";
import type { ErrorBody } from "../wire/contract";
import { knowledgeCalls, type Excerpt } from "../wire/knowledge";
import { asErrorBody, isAbort } from "../wire/request";

/** Lines that are asked for at once, and how many of the first ones stand before the place. */
const AT_ONCE = 240;
const BEFORE = 60;
/** A place so near to the beginning is opened from there: code is coloured from its first line on. */
const NEAR = 400;

/** A place in a document; `first` to `last` are the lines that were found, `line` the one to go to. */
export interface Target {
  collection: string;
  path: string;
  line: number;
  first: number;
  last: number;
}

export interface ReadingView extends Target {
  kind: string;
  language: string;
  /** The number of the first line that is here. */
  from: number;
  lines: readonly string[];
  /** Lines of the whole document; 0: not known yet. */
  total: number;
  /** Numbers of lines of which only the beginning is here. */
  cut: ReadonlySet<number>;
  loading: "first" | "up" | "down" | null;
  error: ErrorBody | null;
}

export class Reading {
  readonly view = new Cell<ReadingView | null>(null);
  private leaving: AbortController | null = null;

  async open(target: Target): Promise<void> {
    this.leaving?.abort();
    this.leaving = new AbortController();
    this.view.set({ ...target, kind: "", language: "", from: 1, lines: [], total: 0, cut: new Set(), loading: "first", error: null });
    if (target.line <= NEAR) await this.fetch(1, target.line + AT_ONCE - BEFORE, "first");
    else await this.fetch(target.line - BEFORE, AT_ONCE, "first");
  }

  close(): void {
    this.leaving?.abort();
    this.leaving = null;
    this.view.set(null);
  }

  async up(): Promise<void> {
    const view = this.view.get();
    if (!view || view.loading || view.from <= 1) return;
    const first = Math.max(1, view.from - AT_ONCE);
    await this.fetch(first, view.from - first, "up");
  }

  async down(): Promise<void> {
    const view = this.view.get();
    if (!view || view.loading || upTo(view) >= view.total) return;
    await this.fetch(upTo(view) + 1, AT_ONCE, "down");
  }

  /** Again, after it failed. */
  async again(): Promise<void> {
    const view = this.view.get();
    if (view) await this.open(view);
  }

  private async fetch(first: number, count: number, which: "first" | "up" | "down"): Promise<void> {
    const view = this.view.get();
    const leaving = this.leaving;
    if (!view || !leaving) return;
    this.view.set({ ...view, loading: which, error: null });
    try {
      let found = await knowledgeCalls.source(view.collection, view.path, first, count, leaving.signal);
      const lines = linesOf(found);
      // Upwards there must be no gap before what is here: so much of it as fits, from its end, one line at least.
      while (which === "up" && first + lines.length < view.from) {
        count = Math.floor(count / 2);
        if (count === 0) break;
        first = view.from - count;
        found = await knowledgeCalls.source(view.collection, view.path, first, count, leaving.signal);
        lines.splice(0, lines.length, ...linesOf(found));
      }
      // The place itself must be among the first ones.
      if (which === "first" && view.line >= first + lines.length && first < view.line) return void (await this.fetch(view.line, count, "first"));
      if (leaving.signal.aborted) return;
      this.view.set(joined({ ...view, error: null }, found, lines, first, which));
    } catch (error) {
      if (isAbort(error) || leaving.signal.aborted) return;
      this.view.set({ ...view, loading: null, error: asErrorBody(error) });
    }
  }
}

/** The number of the last line that is here. */
export const upTo = ({ from, lines }: Pick<ReadingView, "from" | "lines">): number => from + lines.length - 1;

/** The lines of an excerpt. Of one that was cut only whole lines, or the beginning of its only one. */
export function linesOf({ text, first, last, cut }: Excerpt): string[] {
  const lines = text.split("\n");
  // The end of the last line is no line of its own.
  if (lines.length > last - first + 1 && lines.at(-1) === "") lines.pop();
  if (cut && lines.length > 1) lines.pop();
  return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
}

function joined(view: ReadingView, found: Excerpt, lines: readonly string[], first: number, which: "first" | "up" | "down"): ReadingView {
  const cut = new Set(view.cut);
  if (found.cut && lines.length === 1) cut.add(first);
  const all = which === "first" ? lines : which === "up" ? [...lines, ...view.lines] : [...view.lines, ...lines];
  const from = which === "down" ? view.from : first;
  return { ...view, kind: found.kind, language: found.language, from, lines: all, total: found.lines, cut, loading: null };
}
