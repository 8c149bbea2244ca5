/*
 * What the knowledge page does: following a run, looking for places, asking, reading documents; and how each fails.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NO_ANSWER, withEvent, type AnswerView } from "../src/knowledge/finder";
import { Knowledge } from "../src/knowledge/knowledge";
import { linesOf } from "../src/knowledge/reading";
import { dismiss, toasts } from "../src/page/toasts";
import { asAskEvent, asExcerpt } from "../src/wire/knowledge";
import { COLLECTION, PASSAGES, PLACE, RUN } from "./knowledge-samples";
import { errorAnswer, Feed, StandIn } from "./stand-in";

const BASE = "/homefire/v1/knowledge";

let daemon: StandIn;
let knowledge: Knowledge;

const until = async (done: () => boolean): Promise<void> => vi.waitFor(() => expect(done()).toBe(true));
const asked = (route: string): number => daemon.asked.filter(({ method, path }) => `${method} ${path.split("?")[0]}` === route).length;

beforeEach(() => {
  daemon = new StandIn().on(`GET ${BASE}`, { collections: [COLLECTION] });
  knowledge = new Knowledge();
});

afterEach(() => {
  knowledge.collections.stop();
  knowledge.finder.stop();
  for (const toast of toasts.get()) dismiss(toast.id);
  vi.unstubAllGlobals();
});

describe("collections", () => {
  it("a run is followed by its stream, and its end is told by the list", async () => {
    const feed = new Feed();
    daemon.on(`GET ${BASE}`, { collections: [{ ...COLLECTION, job: RUN }] }).on(`POST ${BASE}/notes/follow`, (_, signal) => feed.response(signal));
    knowledge.collections.look(true);
    await until(() => asked(`POST ${BASE}/notes/follow`) === 1);
    feed.send("progress", { ...RUN, files: 700 });
    await until(() => knowledge.collections.list.get()?.[0]?.run?.files === 700);
    daemon.on(`GET ${BASE}`, { collections: [{ ...COLLECTION, job: { ...RUN, state: "done" } }] });
    feed.send("done", { job: {}, collection: {} });
    feed.end();
    await until(() => knowledge.collections.list.get()?.[0]?.run?.state === "done");
    expect(knowledge.collections.spoken.get()).toBe("notes is taken in.");
  });

  it("leaving the page leaves the stream", async () => {
    const feed = new Feed();
    daemon.on(`GET ${BASE}`, { collections: [{ ...COLLECTION, job: RUN }] }).on(`POST ${BASE}/notes/follow`, (_, signal) => feed.response(signal));
    knowledge.collections.look(true);
    await until(() => asked(`POST ${BASE}/notes/follow`) === 1);
    knowledge.collections.look(false);
    await until(() => feed.left);
  });

  it("say why there are none, and no more once there are", async () => {
    daemon.on(`GET ${BASE}`, errorAnswer("package_missing", "Knowledge needs packages.", "Install them.", 501));
    await knowledge.collections.refresh();
    expect(knowledge.collections.refused.get()?.next_step).toBe("Install them.");
    daemon.on(`GET ${BASE}`, { collections: [] });
    await knowledge.collections.refresh();
    expect(knowledge.collections.refused.get()).toBeNull();
    expect(knowledge.collections.list.get()).toEqual([]);
  });

  it("list what was left out, page by page, once", async () => {
    daemon.on(`GET ${BASE}/notes/documents`, ({ path }) =>
      Response.json(path.includes("after=m1") ? { documents: [{ path: "b", reason: "too large" }], next: null } : { documents: [{ path: ".env", reason: "a secret" }], next: "m1" }),
    );
    for (let count = 0; count < 3; count++) await knowledge.collections.documents("notes", "skipped");
    expect(knowledge.collections.pages.get().get("notes skipped")).toMatchObject({ documents: [{ path: ".env", reason: "a secret" }, { path: "b", reason: "too large" }], next: null });
    expect(asked(`GET ${BASE}/notes/documents`)).toBe(2);
  });

  it("are verified: how far, and what is damaged", async () => {
    const feed = new Feed();
    daemon.on(`POST ${BASE}/notes/verify`, (_, signal) => feed.response(signal));
    const work = knowledge.collections.verify("notes");
    await until(() => asked(`POST ${BASE}/notes/verify`) === 1);
    feed.send("progress", { done_bytes: 3, total_bytes: 9 });
    await until(() => JSON.stringify(knowledge.collections.checks.get().get("notes")) === '{"state":"running","done":3,"total":9}');
    feed.send("done", { whole: false, damaged_documents: ["a.md"] });
    feed.end();
    await work;
    expect(knowledge.collections.checks.get().get("notes")).toMatchObject({ state: "ended", whole: false, damaged: ["a.md"] });
    expect(daemon.bodies(`POST ${BASE}/notes/verify`)).toEqual([{}]);
  });
});

describe("searching", () => {
  it("sends only what narrows, and goes on with more places", async () => {
    daemon.on(`POST ${BASE}/search`, ({ body }) => Response.json({ results: Array.from({ length: (body as { limit: number }).limit }, () => PLACE), notes: ["a note"], milliseconds: { all: 3.2 } }));
    knowledge.finder.change({ words: "  boiler ", kind: "markdown", collections: ["notes"] });
    await knowledge.finder.submit();
    expect(knowledge.finder.search.get()).toMatchObject({ loading: false, milliseconds: 3.2, notes: ["a note"] });
    expect(knowledge.finder.hasMore()).toBe(true);
    await knowledge.finder.more();
    expect(daemon.bodies(`POST ${BASE}/search`)).toEqual([
      { query: "boiler", mode: "all", limit: 10, explain: true, kind: "markdown", collections: ["notes"] },
      { query: "boiler", mode: "all", limit: 30, explain: true, kind: "markdown", collections: ["notes"] },
    ]);
  });

  it("says a pattern is one, and nothing of it otherwise", async () => {
    daemon.on(`POST ${BASE}/search`, { results: [], notes: [], milliseconds: {} });
    knowledge.finder.change({ words: "a.c", mode: "pattern", literal: true, ignoreCase: false });
    await knowledge.finder.submit();
    expect(daemon.bodies(`POST ${BASE}/search`)).toEqual([{ query: "a.c", mode: "pattern", limit: 10, explain: true, literal: true, ignore_case: false }]);
    expect(knowledge.finder.hasMore()).toBe(false);
  });

  it("an older answer never overwrites a newer one's", async () => {
    let answerFirst: (response: Response) => void = () => undefined;
    daemon.on(`POST ${BASE}/search`, ({ body }) =>
      (body as { query: string }).query === "old" ? new Promise<Response>((resolve) => (answerFirst = resolve)) : Response.json({ results: [{ ...PLACE, path: "new" }] }),
    );
    knowledge.finder.change({ words: "old" });
    const first = knowledge.finder.submit();
    knowledge.finder.change({ words: "new" });
    await knowledge.finder.submit();
    answerFirst(Response.json({ results: [{ ...PLACE, path: "old" }] }));
    await first;
    expect(knowledge.finder.search.get().places.map((place) => place.path)).toEqual(["new"]);
  });

  it("shows what went wrong in place of what was found before", async () => {
    daemon.on(`POST ${BASE}/search`, errorAnswer("bad_pattern", "Not a pattern: (", "Close the bracket."));
    knowledge.finder.change({ words: "(", mode: "pattern" });
    await knowledge.finder.submit();
    expect(knowledge.finder.search.get()).toMatchObject({ places: [], error: { code: "bad_pattern" } });
  });

  it("asks for nothing without words, and not in collections that are gone", async () => {
    await knowledge.finder.submit();
    expect(daemon.asked).toEqual([]);
    knowledge.finder.change({ collections: ["notes", "gone"] });
    knowledge.finder.keepTo(["notes"]);
    expect(knowledge.finder.form.get().collections).toEqual(["notes"]);
  });
});

const after = (...events: [string, object][]): AnswerView =>
  events.reduce((view, [name, data]) => {
    const event = asAskEvent(name, data as Record<string, unknown>);
    return event ? withEvent(view, event) : view;
  }, NO_ANSWER);

describe("asking", () => {
  it("citations stand where the answer had them, removed ones are counted with their reason", () => {
    const view = after(["passages", PASSAGES], ["token", { text: "On " }], ["token", { text: "Mondays" }], ["citation", { n: 1, text: " [1]" }], ["token", { text: "." }],
      ["removed", { n: 2, why: "the number 7 is not in it" }], ["a later one", {}], ["done", { found: true, citations: 1, removed: 1, unsupported: ["It is blue."], quoted: false }]);
    expect(view.parts).toEqual([{ text: "On Mondays" }, { n: 1 }, { text: "." }]);
    expect(view).toMatchObject({ state: "done", removedCount: 1, removed: [{ n: 2, why: "the number 7 is not in it" }], unsupported: ["It is blue."], withheld: 1, found: true });
  });

  it("counts those that the daemon does not name", () => {
    expect(after(["done", { found: false, removed: 3 }]).removedCount).toBe(3);
  });

  it("streams, stops, and keeps what had come", async () => {
    const feed = new Feed();
    daemon.on(`POST ${BASE}/ask`, (_, signal) => feed.response(signal));
    knowledge.finder.change({ what: "ask", words: "when?", path: "house/*" });
    const work = knowledge.finder.submit();
    await until(() => asked(`POST ${BASE}/ask`) === 1);
    expect(knowledge.finder.answer.get().state).toBe("reading");
    feed.send("passages", PASSAGES);
    feed.send("token", { text: "On" });
    await until(() => knowledge.finder.answer.get().parts.length === 1);
    knowledge.finder.stop();
    await work;
    expect(feed.left).toBe(true);
    expect(knowledge.finder.answer.get()).toMatchObject({ state: "stopped", parts: [{ text: "On" }] });
    expect(daemon.bodies(`POST ${BASE}/ask`)).toEqual([{ question: "when?", path: "house/*" }]);
  });

  it("says that an answer was cut off, and what the daemon refused", async () => {
    const feed = new Feed();
    daemon.on(`POST ${BASE}/ask`, (_, signal) => feed.response(signal));
    knowledge.finder.change({ what: "ask", words: "when?" });
    const work = knowledge.finder.submit();
    await until(() => asked(`POST ${BASE}/ask`) === 1);
    feed.end();
    await work;
    expect(knowledge.finder.answer.get()).toMatchObject({ state: "failed", error: { code: "cut_off" } });
    daemon.on(`POST ${BASE}/ask`, errorAnswer("missing_scope", "No.", "Ask for it.", 403));
    await knowledge.finder.submit();
    expect(knowledge.finder.answer.get()).toMatchObject({ state: "failed", error: { code: "missing_scope" } });
  });
});

/** A document of so many lines, as the daemon gives it. */
function serve(total: number, cutAfter = Infinity): void {
  daemon.on(`GET ${BASE}/notes/source`, ({ path }) => {
    const words = new URLSearchParams(path.split("?")[1]);
    const first = Math.min(Number(words.get("line")), total);
    const last = Math.min(total, first + Number(words.get("count")) - 1);
    const cut = last - first + 1 > cutAfter;
    const text = Array.from({ length: Math.min(last - first + 1, cutAfter) }, (_, index) => `line ${first + index}\n`).join("") + (cut ? "li" : "");
    return Response.json({ path: "a.md", kind: "text", language: "", first, last, lines: total, text, cut });
  });
}

describe("a document", () => {
  const view = (): { from: number; lines: readonly string[]; total: number } => {
    const now = knowledge.reading.view.get();
    if (!now) throw new Error("closed");
    return now;
  };
  const check = (): void => expect(view().lines).toEqual(Array.from({ length: view().lines.length }, (_, index) => `line ${view().from + index}`));

  it("opens around its place and goes on both ways, to its ends", async () => {
    serve(1000);
    await knowledge.reading.open({ collection: "notes", path: "a.md", line: 500, first: 498, last: 503 });
    expect(view()).toMatchObject({ from: 440, total: 1000 });
    for (let count = 0; count < 3; count++) await knowledge.reading.up();
    for (let count = 0; count < 3; count++) await knowledge.reading.down();
    expect([view().from, view().lines.length]).toEqual([1, 1000]);
    check();
    knowledge.reading.close();
    expect(knowledge.reading.view.get()).toBeNull();
  });

  it("has no gap where lines are too long to come at once", async () => {
    serve(300, 20);
    await knowledge.reading.open({ collection: "notes", path: "a.md", line: 200, first: 200, last: 200 });
    expect(view().from).toBe(200);
    await knowledge.reading.up();
    await knowledge.reading.down();
    expect(view().from).toBeLessThan(200);
    expect(view().lines.length).toBeGreaterThan(40);
    check();
  });

  it("of a line too long by itself shows the beginning, and says so", async () => {
    const text = "x".repeat(2000);
    daemon.on(`GET ${BASE}/notes/source`, { path: "a", first: 1, last: 1, lines: 1, text, cut: true });
    await knowledge.reading.open({ collection: "notes", path: "a", line: 1, first: 1, last: 1 });
    expect(knowledge.reading.view.get()).toMatchObject({ lines: [text], cut: new Set([1]) });
  });

  it("says why it cannot be shown", async () => {
    daemon.on(`GET ${BASE}/notes/source`, errorAnswer("unknown_document", "Nothing was taken in of it.", "", 404));
    await knowledge.reading.open({ collection: "notes", path: "a", line: 1, first: 1, last: 1 });
    expect(knowledge.reading.view.get()).toMatchObject({ loading: null, error: { code: "unknown_document" } });
  });

  it.each<[string, number, boolean, string[]]>([
    ["a\nb\n", 2, false, ["a", "b"]],
    ["a\r\nb", 2, false, ["a", "b"]],
    ["a\n\n", 2, false, ["a", ""]],
    ["a\nhal", 5, true, ["a"]],
    ["", 1, false, [""]],
  ])("%j", (text, last, cut, lines) => expect(linesOf(asExcerpt({ text, first: 1, last, cut }))).toEqual(lines));
});
