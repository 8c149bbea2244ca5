/*
 * Which letters of a text answer to a query, and the few lines of a place that are shown.
 * Promises: pure; linear in the text, whatever was typed: a person's regular expression is never run here, only the daemon's limits
 * are safe for that; the segments joined are the text.
 * Does not cover: why a place was found: meaning marks nothing.
 */
import type { Asked, Place } from "../wire/knowledge";

export interface Segment {
  text: string;
  marked: boolean;
}

export interface Line {
  number: number;
  segments: Segment[];
  /** The line that fits best. */
  best: boolean;
}

const MOST_WORDS = 40;
/** Lines of a place that are shown, and letters of each. */
const SHOWN = 5;
const WIDEST = 320;
/** Marked nowhere: they stand in every line. */
const STOP = new Set("a an and are as at be but by for from how in is it not of on or that the this to was were what when where which who why with you".split(" "));
const escape = (word: string): string => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** What is marked, or null: nothing. */
export function markerOf({ query, mode, literal, ignoreCase }: Pick<Asked, "query" | "mode" | "literal" | "ignoreCase">): RegExp | null {
  if (mode === "meaning") return null;
  if (mode === "pattern") {
    // A pattern without anything special is a plain string too.
    if (!literal && escape(query) !== query) return null;
    return new RegExp(escape(query), ignoreCase ? "giu" : "gu");
  }
  const words = query.split(/\s+/).filter((word) => !word.startsWith("-")).flatMap((word) => word.split(/[^\p{L}\p{N}_]+/u));
  const wanted = [...new Set(words.map((word) => word.toLowerCase()))].filter((word) => word.length > 1 && !STOP.has(word)).slice(0, MOST_WORDS);
  if (wanted.length === 0) return null;
  // Other endings of a longer word are the same word; a longer one may stand inside of a name (writeStore), a short one not.
  const forms = wanted.sort((a, b) => b.length - a.length).map((word) => (word.length >= 4 ? `${escape(stem(word))}(?:(?:ings?|ies|ed|es|s|e|y)(?!\\p{L}))?` : `(?<![\\p{L}\\p{N}])${escape(word)}(?![\\p{L}\\p{N}])`));
  return new RegExp(forms.join("|"), "giu");
}

const stem = (word: string): string => (word.length >= 6 ? word.replace(/(?:ings?|ed|es|e?s|e|y)$/, "") : word.length >= 5 ? word.replace(/s$/, "") : word);

export function segmentsOf(text: string, marker: RegExp | null): Segment[] {
  if (!marker) return text === "" ? [] : [{ text, marked: false }];
  const found: Segment[] = [];
  let at = 0;
  for (const match of text.matchAll(marker)) {
    if (match[0] === "") continue;
    if (match.index > at) found.push({ text: text.slice(at, match.index), marked: false });
    found.push({ text: match[0], marked: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), marked: false });
  return found;
}

/** The line that fits best with its neighbours; long lines around their first mark. */
export function snippetOf(place: Place, marker: RegExp | null): Line[] {
  const lines = place.text.replace(/\n$/, "").split("\n");
  const best = Math.max(0, Math.min(lines.length - 1, place.line - place.first));
  const from = Math.max(0, Math.min(best - 1, lines.length - SHOWN));
  return lines.slice(from, from + SHOWN).map((line, index) => ({
    number: place.first + from + index,
    segments: segmentsOf(clipped(line.trimEnd(), marker), marker),
    best: from + index === best,
  }));
}

function clipped(line: string, marker: RegExp | null): string {
  if (line.length <= WIDEST) return line;
  const at = marker ? Math.max(0, line.search(marker)) : 0;
  const from = Math.max(0, Math.min(at - WIDEST / 4, line.length - WIDEST));
  return `${from > 0 ? "…" : ""}${line.slice(from, from + WIDEST)}${from + WIDEST < line.length ? "…" : ""}`;
}
