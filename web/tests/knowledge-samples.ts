/*
 * What the daemon says of knowledge, as homefire/server/knowledge_routes.py gives it.
 */

export const RUN = {
  collection: "notes",
  root: "/home/me/notes",
  state: "running",
  files: 120,
  bytes: 30_000_000,
  unchanged: 20,
  skipped: 2,
  failed: 1,
  text_bytes: 28_000_000,
  total_files: 1300,
  total_bytes: 90_000_000,
  counted: true,
  now: "deep/in/there.md",
  tokens: 7_000_000,
  seconds: 2.5,
  bytes_per_second: 12_000_000,
  eta_seconds: 5,
  error: null,
};

export const COLLECTION = {
  name: "notes",
  root: "/home/me/my notes",
  state: "ready",
  watch: false,
  note: "",
  documents: 1234,
  skipped: 2,
  failed: 1,
  texts: 1200,
  bytes: 14_000_000,
  tokens: 3_500_000,
  chunks: 20_000,
  windows: 90_000,
  meaning: { state: "working", embedder: "all-minilm-l6-v2", rows: 500, share: 0.427, windows_per_second: 33.3, problem: "" },
  created_at: 1_790_000_000,
  updated_at: 1_790_000_000,
  job: null,
};

export const PLACE = {
  collection: "notes",
  path: "house/boiler.md",
  kind: "markdown",
  language: "",
  line: 12,
  first_line: 10,
  end_line: 13,
  start: 400,
  end: 520,
  label: "House > Boiler",
  text: "The boiler stands in the cellar.\n\nIts valves are opened on Mondays.\n<script>alert(1)</script>\n",
  score: 0.3123,
  modified: 1_790_000_000,
  handle: "kb:notes:0123456789abcdef:400-520",
  also: ["copy/boiler.md"],
  why: { score: 0.3123, lists: { words: { place: 1, score: 7.25 }, meaning: { place: 4, score: 0.61 } }, added: { proximity: 0.02, recency: -0.001 }, kept_for_words: true },
};

export const PASSAGES = {
  passages: [
    { n: 1, collection: "notes", path: "house/boiler.md", line: 12, end_line: 13, label: "House > Boiler", handle: "kb:notes:0:0-1" },
    { n: 2, collection: "notes", path: "garden.md", line: 3, end_line: 3, label: "", handle: "kb:notes:0:2-3" },
  ],
  withheld: 1,
  notes: ["'notes' has no vectors yet."],
};
