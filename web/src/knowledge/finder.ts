/*
 * What is looked for and what was found: one search or one question at a time.
 * Promises: an answer to an older search never overwrites a newer one's; a citation stands where the answer had it, a removed one
 * is counted and its reason kept; stopping an answer keeps what had come.
 * Does not cover: drawing; whether a citation holds, which the daemon has checked before it is sent.
 */
import { Cell } from "../cell";
import type { ErrorBody } from "../wire/contract";
import { asAskEvent, knowledgeCalls, type Asked, type AskEvent, type Mode, type Narrow, type Passage, type Place } from "../wire/knowledge";
import { readWork } from "../wire/models";
import { asErrorBody, isAbort } from "../wire/request";

const FIRST = 10;
const MORE = 20;
const MOST = 200;

/** What stands in the form. */
export interface Form extends Narrow {
  what: "search" | "ask";
  words: string;
  mode: Mode;
  literal: boolean;
  ignoreCase: boolean;
}

export interface SearchView {
  /** What was asked; null: nothing yet. */
  asked: Asked | null;
  places: readonly Place[];
  notes: readonly string[];
  milliseconds: number | null;
  loading: boolean;
  error: ErrorBody | null;
}

export type Part = { text: string } | { n: number };

export interface AnswerView {
  question: string;
  state: "none" | "reading" | "answering" | "done" | "stopped" | "failed";
  passages: readonly Passage[];
  withheld: number;
  notes: readonly string[];
  parts: readonly Part[];
  quote: { n: number; text: string } | null;
  removed: readonly { n: number; why: string }[];
  /** As the daemon counts them: with those that it does not name. */
  removedCount: number;
  unsupported: readonly string[];
  found: boolean;
  error: ErrorBody | null;
}

export const NO_ANSWER: AnswerView = {
  question: "",
  state: "none",
  passages: [],
  withheld: 0,
  notes: [],
  parts: [],
  quote: null,
  removed: [],
  removedCount: 0,
  unsupported: [],
  found: false,
  error: null,
};

const NO_SEARCH: SearchView = { asked: null, places: [], notes: [], milliseconds: null, loading: false, error: null };

export class Finder {
  readonly form = new Cell<Form>({ what: "search", words: "", mode: "all", literal: false, ignoreCase: true, collections: [], path: "", kind: "", language: "" });
  readonly search = new Cell<SearchView>(NO_SEARCH);
  readonly answer = new Cell<AnswerView>(NO_ANSWER);
  private searching: AbortController | null = null;
  private asking: AbortController | null = null;

  change(fields: Partial<Form>): void {
    this.form.set({ ...this.form.get(), ...fields });
  }

  /** Collections that are gone are not asked about any more. */
  keepTo(names: readonly string[]): void {
    const chosen = this.form.get().collections;
    const left = chosen.filter((name) => names.includes(name));
    if (left.length < chosen.length) this.change({ collections: left });
  }

  async submit(): Promise<void> {
    const form = this.form.get();
    const words = form.words.trim();
    if (words === "") return;
    if (form.what === "ask") await this.ask(words, form);
    else await this.find({ ...narrowOf(form), query: words, mode: form.mode, literal: form.literal, ignoreCase: form.ignoreCase, limit: FIRST });
  }

  /** The same search, with more places. */
  async more(): Promise<void> {
    const asked = this.search.get().asked;
    if (asked) await this.find({ ...asked, limit: Math.min(MOST, asked.limit + MORE) });
  }

  hasMore(): boolean {
    const { asked, places } = this.search.get();
    return asked !== null && places.length >= asked.limit && asked.limit < MOST;
  }

  async find(asked: Asked): Promise<void> {
    this.searching?.abort();
    const searching = new AbortController();
    this.searching = searching;
    this.search.set({ ...this.search.get(), loading: true, error: null });
    try {
      const found = await knowledgeCalls.search(asked, searching.signal);
      if (searching.signal.aborted) return;
      this.search.set({ asked, ...found, loading: false, error: null });
    } catch (error) {
      if (isAbort(error) || searching.signal.aborted) return;
      this.search.set({ ...NO_SEARCH, asked, error: asErrorBody(error) });
    }
  }

  async ask(question: string, narrow: Narrow): Promise<void> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.answer.set({ ...NO_ANSWER, question, state: "reading" });
    try {
      for await (const { name, data } of readWork(await knowledgeCalls.ask(question, narrowOf(narrow), asking.signal))) {
        if (asking.signal.aborted) return;
        const event = asAskEvent(name, data);
        if (event) this.answer.set(withEvent(this.answer.get(), event));
      }
      if (asking.signal.aborted || !isGoing(this.answer.get())) return;
      this.fail({ code: "cut_off", message: "The answer ended before its end.", next_step: "Ask again." });
    } catch (error) {
      if (isAbort(error) || asking.signal.aborted) return;
      this.fail(asErrorBody(error));
    }
  }

  stop(): void {
    this.asking?.abort();
    if (isGoing(this.answer.get())) this.answer.set({ ...this.answer.get(), state: "stopped" });
  }

  private fail(error: ErrorBody): void {
    this.answer.set({ ...this.answer.get(), state: "failed", error });
  }
}

const narrowOf = ({ collections, path, kind, language }: Narrow): Narrow => ({ collections, path: path.trim(), kind, language: language.trim() });

export const isGoing = ({ state }: AnswerView): boolean => state === "reading" || state === "answering";

/** The answer after one more event. */
export function withEvent(view: AnswerView, event: AskEvent): AnswerView {
  switch (event.kind) {
    case "passages":
      return { ...view, state: "answering", passages: event.passages, withheld: event.withheld, notes: event.notes };
    case "token":
      return { ...view, parts: withText(view.parts, event.text) };
    case "citation":
      return { ...view, parts: [...view.parts, { n: event.n }] };
    case "removed":
      return { ...view, removed: [...view.removed, { n: event.n, why: event.why }], removedCount: view.removedCount + 1 };
    case "quote":
      return { ...view, quote: { n: event.n, text: event.text } };
    case "done":
      return { ...view, state: "done", found: event.found, removedCount: Math.max(event.removed, view.removedCount), unsupported: event.unsupported };
    case "error":
      return { ...view, state: "failed", error: event.error };
  }
}

function withText(parts: readonly Part[], text: string): readonly Part[] {
  const last = parts.at(-1);
  if (last && "text" in last) return [...parts.slice(0, -1), { text: last.text + text }];
  return [...parts, { text }];
}
