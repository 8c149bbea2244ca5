/*
 * The daemon's routes about knowledge that the page may use, one function each, and the shapes that they take and give.
 * Promises: paths and bodies of these routes are written nowhere else; a field that is missing reads as not known; nothing throws.
 * Does not cover: ingesting, watching, cancelling, removing. They need a key, which no page has: they stand on the page as the
 * commands that do them (knowledge/words.ts).
 */
import type { ErrorBody } from "./contract";
import type { Raw } from "./models";
import { request, requestJson } from "./request";

const BASE = "/homefire/v1/knowledge";

export type Mode = "all" | "words" | "meaning" | "pattern";
export type Left = "read" | "skipped" | "failed";

/** A run over a folder. Bytes are those of the files that were looked at; `left` in seconds, null while nobody can tell. */
export interface Run {
  collection: string;
  state: string;
  files: number;
  bytes: number;
  unchanged: number;
  skipped: number;
  failed: number;
  totalFiles: number;
  totalBytes: number;
  counted: boolean;
  now: string;
  tokens: number;
  /** Bytes a second. */
  rate: number;
  left: number | null;
  error: ErrorBody | null;
}

/** How far the vectors of a collection are; `share` from 0 to 1. */
export interface Meaning {
  state: string;
  embedder: string;
  share: number;
  rate: number;
  problem: string;
}

export interface Collection {
  name: string;
  root: string;
  state: string;
  watch: boolean;
  note: string;
  documents: number;
  skipped: number;
  failed: number;
  bytes: number;
  tokens: number;
  meaning: Meaning;
  updatedAt: number;
  run: Run | null;
}

export interface Listed {
  path: string;
  kind: string;
  bytes: number;
  reason: string;
}

/** What a search or a question is narrowed to. Empty: not at all. */
export interface Narrow {
  collections: readonly string[];
  path: string;
  kind: string;
  language: string;
}

export interface Asked extends Narrow {
  query: string;
  mode: Mode;
  literal: boolean;
  ignoreCase: boolean;
  limit: number;
}

/** One term that a place's rank comes from. */
export interface Reason {
  name: string;
  /** Its place in the list of that name; null: a term that was added. */
  place: number | null;
  value: number;
}

/** Where something stands: `line` fits best, of `first` to `last`. */
export interface Place {
  collection: string;
  path: string;
  kind: string;
  language: string;
  line: number;
  first: number;
  last: number;
  label: string;
  text: string;
  score: number;
  handle: string;
  also: string[];
  why: Reason[];
  keptForWords: boolean;
}

export interface Results {
  places: Place[];
  notes: string[];
  /** All steps together. */
  milliseconds: number | null;
}

/** Some lines of a document. `cut`: they hold more than is shown at once. */
export interface Excerpt {
  path: string;
  kind: string;
  language: string;
  first: number;
  last: number;
  lines: number;
  text: string;
  cut: boolean;
}

/** A passage that the model read: `[n]` in the answer. */
export interface Passage {
  n: number;
  collection: string;
  path: string;
  line: number;
  last: number;
  label: string;
}

export type AskEvent =
  | { kind: "passages"; passages: Passage[]; withheld: number; notes: string[] }
  | { kind: "token"; text: string }
  | { kind: "citation"; n: number }
  | { kind: "removed"; n: number; why: string }
  | { kind: "quote"; n: number; text: string }
  | { kind: "done"; found: boolean; removed: number; unsupported: string[]; quoted: boolean }
  | { kind: "error"; error: ErrorBody };

export interface Checked {
  whole: boolean;
  texts: number;
  bytes: number;
  damaged: string[];
}

const one = (name: string): string => `${BASE}/${encodeURIComponent(name)}`;

/** Only what narrows: the daemon refuses nothing that is not said. */
function narrowed({ collections, path, kind, language }: Narrow): Raw {
  return {
    ...(collections.length > 0 ? { collections } : {}),
    ...(path ? { path } : {}),
    ...(kind ? { kind } : {}),
    ...(language ? { language } : {}),
  };
}

export const knowledgeCalls = {
  list: async (): Promise<Collection[]> => rows((await requestJson<Raw>("GET", BASE))["collections"]).map(asCollection),

  follow: (name: string, signal: AbortSignal): Promise<Response> => request("POST", `${one(name)}/follow`, { body: {}, signal }),

  verify: (name: string, signal: AbortSignal): Promise<Response> => request("POST", `${one(name)}/verify`, { body: {}, signal }),

  /** A page of documents, and where the next one begins (null: that was all). */
  documents: async (name: string, state: Left, after: string, limit: number): Promise<{ documents: Listed[]; next: string | null }> => {
    const words = new URLSearchParams({ state, limit: String(limit), ...(after ? { after } : {}) });
    const found = await requestJson<Raw>("GET", `${one(name)}/documents?${words}`);
    return { documents: rows(found["documents"]).map(asListed), next: text(found["next"]) || null };
  },

  source: async (name: string, path: string, line: number, count: number, signal: AbortSignal): Promise<Excerpt> => {
    const words = new URLSearchParams({ path, line: String(line), count: String(count) });
    return asExcerpt(await requestJson<Raw>("GET", `${one(name)}/source?${words}`, { signal }));
  },

  search: async (asked: Asked, signal: AbortSignal): Promise<Results> => {
    const pattern = asked.mode === "pattern" ? { literal: asked.literal, ignore_case: asked.ignoreCase } : {};
    const body = { query: asked.query, mode: asked.mode, limit: asked.limit, explain: true, ...pattern, ...narrowed(asked) };
    return asResults(await requestJson<Raw>("POST", `${BASE}/search`, { body, signal }));
  },

  ask: (question: string, narrow: Narrow, signal: AbortSignal): Promise<Response> =>
    request("POST", `${BASE}/ask`, { body: { question, ...narrowed(narrow) }, signal }),
};

// -- What came, in the page's shapes.

const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
const numberOr = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((each) => typeof each === "string") : []);
const record = (value: unknown): Raw => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : {});
const rows = (value: unknown): Raw[] => (Array.isArray(value) ? value.filter((each) => typeof each === "object" && each !== null) : []);
const errorOr = (value: unknown): ErrorBody | null => (text(record(value)["message"]) ? (value as ErrorBody) : null);

export function asRun(raw: Raw): Run {
  return {
    collection: text(raw["collection"]),
    state: text(raw["state"]),
    files: number(raw["files"]),
    bytes: number(raw["bytes"]),
    unchanged: number(raw["unchanged"]),
    skipped: number(raw["skipped"]),
    failed: number(raw["failed"]),
    totalFiles: number(raw["total_files"]),
    totalBytes: number(raw["total_bytes"]),
    counted: raw["counted"] === true,
    now: text(raw["now"]),
    tokens: number(raw["tokens"]),
    rate: number(raw["bytes_per_second"]),
    left: numberOr(raw["eta_seconds"]),
    error: errorOr(raw["error"]),
  };
}

export function asCollection(raw: Raw): Collection {
  const meaning = record(raw["meaning"]);
  return {
    name: text(raw["name"]),
    root: text(raw["root"]),
    state: text(raw["state"]),
    watch: raw["watch"] === true,
    note: text(raw["note"]),
    documents: number(raw["documents"]),
    skipped: number(raw["skipped"]),
    failed: number(raw["failed"]),
    bytes: number(raw["bytes"]),
    tokens: number(raw["tokens"]),
    meaning: {
      state: text(meaning["state"]),
      embedder: text(meaning["embedder"]),
      share: Math.max(0, Math.min(1, number(meaning["share"]))),
      rate: number(meaning["windows_per_second"]),
      problem: text(meaning["problem"]),
    },
    updatedAt: number(raw["updated_at"]),
    run: raw["job"] ? asRun(record(raw["job"])) : null,
  };
}

const asListed = (raw: Raw): Listed => ({ path: text(raw["path"]), kind: text(raw["kind"]), bytes: number(raw["bytes"]), reason: text(raw["reason"]) });

function asReasons(why: Raw): Reason[] {
  const lists = Object.entries(record(why["lists"])).map(([name, each]) => ({ name, place: number(record(each)["place"]), value: number(record(each)["score"]) }));
  const added = Object.entries(record(why["added"])).map(([name, value]) => ({ name, place: null, value: number(value) }));
  return [...lists, ...added];
}

export function asPlace(raw: Raw): Place {
  const why = record(raw["why"]);
  const line = Math.max(1, number(raw["line"]));
  return {
    collection: text(raw["collection"]),
    path: text(raw["path"]),
    kind: text(raw["kind"]),
    language: text(raw["language"]),
    line,
    first: number(raw["first_line"]) || line,
    last: number(raw["end_line"]) || line,
    label: text(raw["label"]),
    text: text(raw["text"]),
    score: number(raw["score"]),
    handle: text(raw["handle"]),
    also: texts(raw["also"]),
    why: asReasons(why),
    keptForWords: why["kept_for_words"] === true,
  };
}

export const asResults = (raw: Raw): Results => ({
  places: rows(raw["results"]).map(asPlace),
  notes: texts(raw["notes"]),
  milliseconds: numberOr(record(raw["milliseconds"])["all"]),
});

export function asExcerpt(raw: Raw): Excerpt {
  return {
    path: text(raw["path"]),
    kind: text(raw["kind"]),
    language: text(raw["language"]),
    first: number(raw["first"]),
    last: number(raw["last"]),
    lines: number(raw["lines"]),
    text: text(raw["text"]),
    cut: raw["cut"] === true,
  };
}

const asPassage = (raw: Raw): Passage => ({
  n: number(raw["n"]),
  collection: text(raw["collection"]),
  path: text(raw["path"]),
  line: Math.max(1, number(raw["line"])),
  last: number(raw["end_line"]),
  label: text(raw["label"]),
});

/** What a check found: "words", "vectors" by name, damaged documents by their paths. */
export function asChecked(raw: Raw): Checked {
  const documents = raw["damaged_documents"];
  const said = (name: string, word: string): string[] => {
    const value = raw[name];
    return value === true || number(value) > 0 || (Array.isArray(value) && value.length > 0) ? [word] : [];
  };
  return {
    whole: raw["whole"] === true,
    texts: number(raw["texts"]),
    bytes: number(raw["bytes"]),
    damaged: [...(Array.isArray(documents) ? texts(documents) : said("damaged_documents", "documents")), ...said("damaged_words", "the index of words"), ...said("damaged_vectors", "vectors")],
  };
}

/** An event of an answer; null for one that nobody knows. */
export function asAskEvent(name: string, data: Raw): AskEvent | null {
  switch (name) {
    case "passages":
      return { kind: name, passages: rows(data["passages"]).map(asPassage), withheld: number(data["withheld"]), notes: texts(data["notes"]) };
    case "token":
      return { kind: name, text: text(data["text"]) };
    case "citation":
      return { kind: name, n: number(data["n"]) };
    case "removed":
      return { kind: name, n: number(data["n"]), why: text(data["why"]) };
    case "quote":
      return { kind: name, n: number(data["n"]), text: text(data["text"]) };
    case "done":
      return { kind: name, found: data["found"] === true, removed: number(data["removed"]), unsupported: texts(data["unsupported"]), quoted: data["quoted"] === true };
    case "error":
      return { kind: name, error: (data["error"] ?? data) as ErrorBody };
    default:
      return null;
  }
}
