/*
 * What the knowledge page says in words, which letters it marks, and which commands it shows.
 */
import { describe, expect, it } from "vitest";
import { roomInFragment } from "../src/conversation/route";
import { markerOf, segmentsOf, snippetOf } from "../src/knowledge/marks";
import { COMMANDS, factWords, meaningWords, quoted, reasonWords, runPercent, runWords, sidebarWords, stateWords } from "../src/knowledge/words";
import { asChecked, asCollection, asPlace, asResults, asRun, type Collection, type Mode, type Run } from "../src/wire/knowledge";
import { COLLECTION, PLACE, RUN } from "./knowledge-samples";

const collection = (changes: object = {}): Collection => asCollection({ ...COLLECTION, ...changes });
const run = (changes: object = {}): Run => asRun({ ...RUN, ...changes });
const marked = (query: string, text: string, mode: Mode = "all", literal = false, ignoreCase = true): string[] =>
  segmentsOf(text, markerOf({ query, mode, literal, ignoreCase })).flatMap((segment) => (segment.marked ? [segment.text] : []));

describe("a collection", () => {
  it.each<[object, string]>([
    [{}, "Ready"],
    [{ watch: true }, "Ready, watched"],
    [{ state: "stopped" }, "Not whole"],
    [{ state: "new" }, "Nothing in it yet"],
    [{ job: RUN }, "Taking in"],
    [{ job: { ...RUN, state: "waiting" } }, "Waiting for its turn"],
    [{ job: { ...RUN, state: "cancelling" } }, "Stopping"],
    [{ job: { ...RUN, state: "done" } }, "Ready"],
  ])("%j", (changes, words) => expect(stateWords(collection(changes))).toBe(words));

  it("says what is in it and when it changed", () => {
    const at = new Date(COLLECTION.updated_at * 1000);
    expect(factWords(collection(), at)).toMatch(/^1,234 documents · 3.5 M tokens · 14 MB · changed today, \d\d:\d\d$/);
    expect(factWords(collection({ documents: 1 }), new Date(at.getTime() + 40 * 86_400_000))).toMatch(/^1 document · .* · changed \d+ September 2026$/);
  });

  it.each<[object, string]>([
    [{}, "Found by words; by meaning 42 %, 33 windows/s (all-minilm-l6-v2)"],
    [{ state: "waiting" }, "Found by words; by meaning 42 %, it goes on when the machine has time (all-minilm-l6-v2)"],
    [{ state: "ready" }, "Found by words and by meaning (all-minilm-l6-v2)"],
    [{ state: "none" }, "Found by words only: there is no embedding model for meaning"],
    [{ problem: "the model is gone" }, "Found by words. Vectors: the model is gone"],
  ])("meaning %j", (changes, words) => expect(meaningWords(collection({ meaning: { ...COLLECTION.meaning, ...changes } }))).toBe(words));

  it("reads what it does not know as not known", () => {
    expect(asCollection({ name: 7, meaning: null, job: "x" })).toMatchObject({ name: "", documents: 0, meaning: { state: "", share: 0 } });
    expect(asResults({ results: "none" })).toEqual({ places: [], notes: [], milliseconds: null });
  });
});

describe("a run", () => {
  it.each<[object, string, number | null]>([
    [{}, "120 of 1,300 files · 30 MB of 90 MB · 7 M tokens · 12 MB/s · 5 s left", 33],
    [{ counted: false, eta_seconds: null }, "120 of at least 1,300 files · 30 MB of at least 90 MB · 7 M tokens · 12 MB/s", null],
    [{ bytes: 90_000_000 }, "120 of 1,300 files · 90 MB of 90 MB · 7 M tokens · 12 MB/s · 5 s left", 99],
    [{ state: "waiting" }, "Another folder is being taken in; this one is next.", 33],
  ])("%j", (changes, words, part) => {
    expect(runWords(run(changes))).toBe(words);
    expect(runPercent(run(changes))).toBe(part);
  });

  it("is a word in the sidebar", () => {
    expect(sidebarWords(null)).toBe("");
    expect(sidebarWords([collection()])).toBe("");
    expect(sidebarWords([collection({ job: RUN })])).toBe("33 %");
    expect(sidebarWords([collection({ job: RUN }), collection({ name: "b", job: { ...RUN, state: "waiting" } })])).toBe("2 under way");
    expect(sidebarWords([collection({ job: { ...RUN, counted: false } })])).toBe("under way");
  });
});

describe("commands", () => {
  it.each([
    ["/home/me/notes", "/home/me/notes"],
    ["~/notes", "~/notes"],
    ["~/my notes", "~/'my notes'"],
    ["~/", "~/"],
    ["/a b/$(rm -rf ~)", "'/a b/$(rm -rf ~)'"],
    ["it's", "'it'\\''s'"],
    ["-n", "-n"],
    ["été/über", "été/über"],
    ["", "''"],
    ["C:\\Users\\me", "C:\\Users\\me"],
    ["C:\\My Files", '"C:\\My Files"'],
  ])("%j", (path, shell) => expect(quoted(path)).toBe(shell));

  it("do what they say", () => {
    expect(COMMANDS.ingest("/a b", { name: "my notes", watch: true })).toBe("homefire ingest '/a b' --name 'my notes' --watch");
    expect(COMMANDS.watch("notes", false)).toBe("homefire knowledge watch notes --off");
    expect(COMMANDS.watch("notes", true)).toBe("homefire knowledge watch notes");
    expect(COMMANDS.repair("notes")).toBe("homefire knowledge verify notes --repair");
  });
});

describe("marks", () => {
  it.each<[string, string, string[]]>([
    ["opened valve", "The valves were open; opening one", ["valves", "open", "opening"]],
    ["store", "class StoreSet: restored", ["Store", "store"]],
    ["id", "identity id ID", ["id", "ID"]],
    ["the boiler is", "the boiler is hot", ["boiler"]],
    ['"blue door" +key -lock', "blue door, key, lock", ["blue", "door", "key"]],
    ["a.*(b)+c++", "a b c++", []],
    ["-only -not", "only not", []],
  ])("%j in %j", (query, text, found) => expect(marked(query, text)).toEqual(found));

  it("never run a person's regular expression", () => {
    expect(markerOf({ query: "(a+)+$", mode: "pattern", literal: false, ignoreCase: true })).toBeNull();
    expect(marked("(a+)+", "x(a+)+y", "pattern", true)).toEqual(["(a+)+"]);
    expect(marked("Key", "key Key", "pattern", false, false)).toEqual(["Key"]);
    expect(marked("key", "key", "meaning")).toEqual([]);
  });

  it("leave the text as it is, whatever is in it", () => {
    for (const text of ["", "<script>alert('boiler')</script>", "🔥 boiler 🔥\r\n\t", "boiler".repeat(1000)]) {
      expect(segmentsOf(text, markerOf({ query: "boiler 🔥", mode: "all", literal: false, ignoreCase: true })).map((each) => each.text).join("")).toBe(text);
    }
    const long = "word ".repeat(100_000);
    expect(markerOf({ query: long, mode: "all", literal: false, ignoreCase: true })?.source.length).toBeLessThan(2000);
  });
});

describe("a place", () => {
  const lines = (changes: object, query = "monday"): [number, string, boolean][] =>
    snippetOf(asPlace({ ...PLACE, ...changes }), markerOf({ query, mode: "all", literal: false, ignoreCase: true })).map(({ number, segments, best }) => [number, segments.map((each) => each.text).join(""), best]);

  it("shows the line that fits best, with its number and its neighbours", () => {
    expect(lines({})).toEqual([
      [10, "The boiler stands in the cellar.", false],
      [11, "", false],
      [12, "Its valves are opened on Mondays.", true],
      [13, "<script>alert(1)</script>", false],
    ]);
  });

  it("shows some lines of many, and of a long one what is around its first mark", () => {
    const many = Array.from({ length: 40 }, (_, index) => `line ${index}`).join("\n");
    expect(lines({ text: many, first_line: 1, line: 21 }).map(([number]) => number)).toEqual([20, 21, 22, 23, 24]);
    const [[, shown] = [0, ""]] = lines({ text: `${"x ".repeat(1000)}Monday ${"y ".repeat(1000)}`, first_line: 5, line: 5 });
    expect(shown).toMatch(/^….*Monday.*…$/);
    expect(shown.length).toBeLessThan(330);
  });

  it("is shown even if its lines do not fit together", () => {
    expect(lines({ line: 99, text: "one" })).toEqual([[10, "one", true]]);
    expect(lines({ line: 0, first_line: 0, text: "" })).toEqual([[1, "", true]]);
  });

  it("says why it is where it is", () => {
    expect(asPlace(PLACE).why.map(reasonWords)).toEqual([
      ["Words", "place 1, score 7.25"],
      ["Meaning", "place 4, score 0.61"],
      ["Proximity", "+0.02"],
      ["Recency", "−0.001"],
    ]);
  });
});

it("a check names what is damaged", () => {
  expect(asChecked({ whole: false, damaged_documents: ["a.md"], damaged_words: ["block 3"], damaged_vectors: [] }).damaged).toEqual(["a.md", "the index of words"]);
});

it("has an address", () => {
  expect(roomInFragment("#/knowledge")).toBe("knowledge");
  expect(roomInFragment("#/knowledges")).toBe("conversations");
});
