/*
 * The knowledge page as it is drawn: a name for each control, a word beside each colour, and no markup out of documents.
 */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeEach, describe, expect, it } from "vitest";
import rehypeHighlight from "rehype-highlight";
import { Answer } from "../src/knowledge/answer";
import { CollectionRow } from "../src/knowledge/collection-row";
import { colouredLines } from "../src/knowledge/colours";
import { NO_ANSWER, type AnswerView } from "../src/knowledge/finder";
import { Knowledge } from "../src/knowledge/knowledge";
import { markerOf } from "../src/knowledge/marks";
import { PlaceRow } from "../src/knowledge/results";
import { SearchForm } from "../src/knowledge/search-form";
import { asCollection, asPlace, asRun, type Passage } from "../src/wire/knowledge";
import { COLLECTION, PASSAGES, PLACE, RUN } from "./knowledge-samples";

let knowledge: Knowledge;

beforeEach(() => {
  knowledge = new Knowledge();
});

const draw = (node: ReactNode): string => renderToStaticMarkup(node);
const text = (html: string): string => html.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").replaceAll("&#x27;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
const buttons = (html: string): string[] =>
  [...html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)].map(
    ([, attributes = "", inside = ""]) => /aria-label="([^"]*)"/.exec(attributes)?.[1] ?? inside.replace(/<[^>]*>/g, "").trim(),
  );
const row = (changes: object = {}): string => draw(createElement(CollectionRow, { knowledge, collection: asCollection({ ...COLLECTION, ...changes }) }));

describe("a collection", () => {
  it("says what is in it, where it is from, and how far its vectors are", () => {
    const said = text(row());
    for (const words of ["notes", "Ready", "/home/me/my notes", "1,234 documents", "3.5 M tokens", "by meaning 42 %", "1 could not be read", "2 left out"]) expect(said).toContain(words);
    expect(row()).toMatch(/<progress[^>]*aria-label="Vectors of notes"[^>]*value="0.427"/);
    expect(buttons(row())).toEqual(["Take in notes again", "Watch notes", "Verify notes", "Remove notes"]);
  });

  it("being taken in has a bar, its figures, and can be cancelled", () => {
    const html = row({ job: RUN });
    expect(html).toMatch(/<progress[^>]*aria-label="Taking in notes"[^>]*value="33"/);
    expect(text(html)).toContain("120 of 1,300 files · 30 MB of 90 MB · 7 M tokens · 12 MB/s · 5 s left");
    expect(text(html)).toContain("deep/in/there.md");
    expect(buttons(html)).toEqual(["Cancel taking in notes", "Watch notes", "Verify notes", "Remove notes"]);
    expect(row({ job: { ...RUN, counted: false } })).not.toMatch(/aria-label="Taking in notes"[^>]*value=/);
    expect(row({ job: { ...RUN, state: "waiting", counted: false } })).toMatch(/<progress[^>]*aria-label="Taking in notes"[^>]*value="0"|<progress[^>]*value="0"[^>]*aria-label="Taking in notes"/);
  });

  it("whose run failed says why and what to do", () => {
    const error = { code: "disk_full", message: "The disk is full.", next_step: "Free some space." };
    expect(text(row({ job: { ...RUN, state: "failed", error } }))).toContain("The disk is full. Free some space.");
    expect(text(row({ state: "stopped", note: "cancelled" }))).toContain("The last run was cancelled before its end. What was read before is there.");
    expect(text(row({ job: { ...RUN, error } })), "a run that goes on again").not.toContain("disk is full");
  });

  it("that is damaged shows the command that mends it", () => {
    knowledge.collections.checks.set(new Map([["notes", { state: "ended", whole: false, texts: 1, bytes: 1, damaged: ["a.md"] }]]));
    expect(text(row())).toContain("Damaged: a.md Make it anew from its folder: homefire knowledge verify notes --repair");
  });
});

describe("a place", () => {
  const place = (changes: object = {}): string =>
    draw(createElement(PlaceRow, { place: asPlace({ ...PLACE, ...changes }), marker: markerOf({ query: "mondays script", mode: "all", literal: false, ignoreCase: true }), reading: knowledge.reading, several: true }));

  it("has path, line, heading, marked words, and why it is there", () => {
    const html = place();
    expect(text(html).replaceAll(" :", ":")).toContain("house/boiler.md:12");
    for (const words of ["House &gt; Boiler", "<mark>Mondays</mark>", "copy/boiler.md", "Markdown", "place 1, score 7.25", "kept for exact words"]) expect(html).toContain(words);
  });

  it("draws nothing of a document as markup", () => {
    const html = place({ path: "<b>x</b>", label: "<img src=x>", also: ["<i>"], language: "<u>" });
    expect(html).not.toMatch(/<(script|img|b|i|u)\b/);
    expect(text(html)).toContain("< script >alert(1)</ script >");
  });
});

describe("the form", () => {
  const form = (...names: string[]): string => draw(createElement(SearchForm, { finder: knowledge.finder, list: names.map((name) => asCollection({ ...COLLECTION, name })) }));

  it("offers collections where there are several", () => {
    expect(text(form("a"))).not.toContain("Only in these collections");
    expect(text(form("a", "b"))).toContain("Only in these collections");
  });

  it("has its own switches for a pattern, and no modes for a question", () => {
    expect(text(form("a"))).not.toContain("Just these characters");
    knowledge.finder.change({ mode: "pattern" });
    expect(text(form("a"))).toContain("Just these characters");
    knowledge.finder.change({ what: "ask" });
    expect(text(form("a"))).not.toMatch(/Pattern|Just these/);
    knowledge.finder.answer.set({ ...NO_ANSWER, state: "answering" });
    expect(buttons(form("a"))).toEqual(["Stop"]);
  });
});

const PASSAGE_ROWS: Passage[] = PASSAGES.passages.map(({ end_line, ...rest }) => ({ ...rest, last: end_line }));
const answer = (changes: Partial<AnswerView>): string =>
  draw(createElement(Answer, { view: { ...NO_ANSWER, question: "When?", state: "done", passages: PASSAGE_ROWS, found: true, ...changes }, open: () => undefined }));

describe("an answer", () => {
  it("has its citations as numbers that open the passage", () => {
    const html = answer({ parts: [{ text: "On Mondays" }, { n: 1 }, { text: ". " }, { n: 7 }] });
    expect(buttons(html).slice(0, 1)).toEqual(["Source 1: house/boiler.md, line 12"]);
    expect(html).toContain("<span>[7]</span>");
    expect(text(html)).toContain("2 sources cited, each checked against its passage.");
    expect(html).toMatch(/data-cited="true"[^>]*>.*house\/boiler\.md/);
  });

  it("says how many citations were removed, and why", () => {
    const said = text(answer({ parts: [{ text: "Seven." }], removed: [{ n: 2, why: "the number 7 is not in it" }], removedCount: 1, unsupported: ["It is blue."], withheld: 2 }));
    for (const words of ["1 citation was removed", "Removed [2]: the number 7 is not in it.", "1 sentence without a passage that says so.", "No passage says: It is blue.", "2 passages kept back by the policy."]) expect(said).toContain(words);
  });

  it.each<[string, Partial<AnswerView>]>([
    ["by the model", { found: false, parts: [{ text: "not found" }] }],
    ["because nothing was there", { found: false, parts: [], passages: [] }],
  ])("not found %s is an answer", (_, changes) => {
    const html = answer(changes);
    expect(text(html)).toContain("Not found in what was taken in.");
    expect(html).not.toMatch(/role="alert"|not found</);
  });

  it("marks a quote as one", () => {
    const html = answer({ parts: [{ text: "It is 9." }], quote: { n: 2, text: "The spade hangs on nail 4711." } });
    expect(html).toContain("<blockquote>The spade hangs on nail 4711.</blockquote>");
    expect(text(html)).toContain("The model did not write it");
    expect(html).toContain('data-doubtful="true"');
  });

  it("that no passage supports says so", () => {
    expect(text(answer({ found: false, parts: [{ text: "It is blue." }], unsupported: ["It is blue."] }))).toContain("No passage says this.");
  });

  it("is text, whatever the model writes", () => {
    const html = answer({ question: "<img src=x>", parts: [{ text: "<script>x</script> [click](javascript:x)" }] });
    expect(html).not.toMatch(/<(script|img)\b|href/);
  });

  it("that failed says what to do", () => {
    expect(answer({ state: "failed", error: { code: "x", message: "No model.", next_step: "Get one." } })).toMatch(/role="alert".*No model\..*Get one\./s);
  });
});

it("a run without figures is no defect", () => {
  expect(text(row({ job: {}, meaning: {} }))).toContain("notes");
  expect(asRun({}).left).toBeNull();
});

describe("colours", () => {
  const colour = (lines: string[], language: string): ReturnType<typeof colouredLines> => colouredLines(rehypeHighlight({ detect: false }) as never, lines, language);

  it("go on over lines, and leave every letter in its line", () => {
    const lines = ['"""One', "", '<script>two"""', "def f(): return 1"];
    const found = colour(lines, "python");
    expect(found?.map((pieces) => pieces.map((piece) => piece.text).join(""))).toEqual(lines);
    expect(found?.[2]?.[0]).toMatchObject({ name: "hljs-string" });
    expect(found?.[3]?.[0]).toMatchObject({ text: "def", name: "hljs-keyword" });
  });

  it("of a language that nobody knows are none, and no defect", () => {
    const found = colour(["a", "b"], "klingon");
    expect((found ?? []).flat().every((piece) => piece.name === "")).toBe(true);
  });
});
