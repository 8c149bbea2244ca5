/*
 * What the knowledge page says in words, and the commands that do what no page may.
 * Promises: pure; nothing is said by colour alone; a command can be pasted into a shell as it stands, whatever the folder is called.
 * Does not cover: Windows' older shell, which has no way to quote a per cent sign.
 */
import { formatBytes, formatCount, formatDay, formatParameters } from "../format";
import { leftWords } from "../models/words";
import type { Collection, Mode, Reason, Run } from "../wire/knowledge";
import type { AnswerView } from "./finder";
import { isGoing } from "./finder";

export const MODES: Record<Mode, { word: string; what: string }> = {
  all: { word: "All", what: "Words and meaning together." },
  words: { word: "Words", what: 'The words themselves: "a phrase", pre*, +must, -not.' },
  meaning: { word: "Meaning", what: "What it says, in whatever words. Needs an embedding model." },
  pattern: { word: "Pattern", what: "A regular expression, in every line." },
};

export const KINDS: Record<string, string> = {
  text: "Text",
  markdown: "Markdown",
  code: "Code",
  html: "HTML",
  pdf: "PDF",
  docx: "Word (DOCX)",
  epub: "EPUB",
  mail: "E-mail",
  mbox: "Mailbox",
  csv: "CSV",
  json: "JSON",
  notebook: "Notebook",
  webarchive: "Web archive",
};

export const plural = (count: number, word: string): string => `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
export const tokenWords = (tokens: number): string => `${formatParameters(tokens)} token${tokens === 1 ? "" : "s"}`;

/** The state in a word or two. */
export function stateWords({ state, run, watch }: Collection): string {
  switch (run?.state) {
    case "waiting":
      return "Waiting for its turn";
    case "running":
      return "Taking in";
    case "cancelling":
      return "Stopping";
  }
  if (state === "ready") return watch ? "Ready, watched" : "Ready";
  if (state === "stopped") return "Not whole";
  return state === "ingesting" ? "Taking in" : "Nothing in it yet";
}

/** "12 documents · 3.4 M tokens · 14 MB · changed today". */
export function factWords(each: Collection, now: Date): string {
  const parts = [plural(each.documents, "document"), tokenWords(each.tokens), formatBytes(each.bytes)];
  if (each.updatedAt > 0) {
    const at = new Date(each.updatedAt * 1000);
    const today = formatDay(each.updatedAt, now) === "Today";
    parts.push(`changed ${today ? `today, ${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}` : at.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" })}`);
  }
  return parts.join(" · ");
}

/** How far its vectors are. */
export function meaningWords({ meaning, documents }: Collection): string {
  if (meaning.problem) return `Found by words. Vectors: ${meaning.problem}`;
  const per = `${Math.floor(meaning.share * 100)} %`;
  switch (meaning.state) {
    case "ready":
      return documents > 0 ? `Found by words and by meaning (${meaning.embedder})` : "";
    case "working":
      return `Found by words; by meaning ${per}${meaning.rate > 0 ? `, ${formatCount(Math.round(meaning.rate))} windows/s` : ""} (${meaning.embedder})`;
    case "waiting":
      return `Found by words; by meaning ${per}, it goes on when the machine has time (${meaning.embedder})`;
    default:
      return "Found by words only: there is no embedding model for meaning";
  }
}

/** "120 of 1,300 files · 34 MB of 90 MB · 12 MB/s · 5 s left": only what is known. */
export function runWords(run: Run): string {
  if (run.state === "waiting") return "Another folder is being taken in; this one is next.";
  const of = run.counted ? "of" : "of at least";
  const parts = [
    run.totalFiles > 0 ? `${formatCount(run.files)} ${of} ${plural(run.totalFiles, "file")}` : plural(run.files, "file"),
    run.totalBytes > 0 ? `${formatBytes(run.bytes)} ${of} ${formatBytes(run.totalBytes)}` : formatBytes(run.bytes),
  ];
  if (run.tokens > 0) parts.push(tokenWords(run.tokens));
  if (run.rate > 0) parts.push(`${formatBytes(run.rate)}/s`);
  if (run.left !== null) parts.push(`${leftWords(run.left)} left`);
  return parts.join(" · ");
}

/** Whole per cent of a run, or null while the end is not known. Never 100 before the end. */
export function runPercent(run: Run): number | null {
  if (!run.counted) return null;
  const part = run.totalBytes > 0 ? run.bytes / run.totalBytes : run.totalFiles > 0 ? run.files / run.totalFiles : 0;
  return Math.max(0, Math.min(99, Math.floor(part * 100)));
}

/** A word for the sidebar: "42 %" of the run under way, else how many collections there are. */
export function sidebarWords(list: readonly Collection[] | null): string {
  const runs = (list ?? []).flatMap(({ run }) => (run && ["running", "waiting", "cancelling"].includes(run.state) ? [run] : []));
  const running = runs.find((run) => run.state === "running");
  if (running && runs.length === 1) return runPercent(running) === null ? "under way" : `${runPercent(running)} %`;
  return runs.length > 0 ? `${runs.length} under way` : "";
}

const LISTS: Record<string, string> = { words: "Words", meaning: "Meaning", pattern: "Pattern" };

export function reasonWords({ name, place, value }: Reason): [string, string] {
  if (place !== null) return [LISTS[name] ?? name, `place ${place}, score ${formatScore(value)}`];
  return [name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase()), `${value < 0 ? "−" : "+"}${formatScore(Math.abs(value))}`];
}

const formatScore = (value: number): string => String(Number(value.toPrecision(3)));

/** What is to be known of an answer's sources, one sentence each. */
export function answerWords(view: AnswerView): string[] {
  const cited = new Set(view.parts.flatMap((part) => ("n" in part ? [part.n] : [])));
  const said = [];
  if (cited.size > 0) said.push(`${plural(cited.size, "source")} cited, each checked against its passage.`);
  if (view.removedCount > 0) said.push(view.removedCount === 1 ? "1 citation was removed: what it stood for is not in its passage." : `${view.removedCount} citations were removed: what they stood for is not in their passages.`);
  if (view.unsupported.length > 0 && !isGoing(view)) said.push(`${plural(view.unsupported.length, "sentence")} without a passage that says so.`);
  if (view.withheld > 0) said.push(`${plural(view.withheld, "passage")} kept back by the policy.`);
  return said;
}

/** As a shell takes it. */
export function quoted(text: string): string {
  if (/^[A-Za-z]:[\\/]/.test(text)) return /[^\w\\/:.-]/.test(text) ? `"${text.replaceAll('"', "")}"` : text;
  // A tilde is the person's folder only where nothing quotes it.
  const [, home = "", rest = text] = /^(~\/)(.*)$/s.exec(text) ?? [];
  if (rest !== "" && /^[\p{L}\p{N}_@%+=:,./-]+$/u.test(rest)) return home + rest;
  return home !== "" && rest === "" ? home : `${home}'${rest.replaceAll("'", "'\\''")}'`;
}

/** The commands, by what they do. */
export const COMMANDS = {
  ingest: (path: string, options: { name?: string; watch?: boolean } = {}): string =>
    ["homefire ingest", quoted(path), ...(options.name ? ["--name", quoted(options.name)] : []), ...(options.watch ? ["--watch"] : [])].join(" "),
  watch: (name: string, on: boolean): string => `homefire knowledge watch ${quoted(name)}${on ? "" : " --off"}`,
  cancel: (name: string): string => `homefire knowledge cancel ${quoted(name)}`,
  remove: (name: string): string => `homefire knowledge remove ${quoted(name)}`,
  repair: (name: string): string => `homefire knowledge verify ${quoted(name)} --repair`,
};
