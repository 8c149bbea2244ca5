/*
 * What the models page says in words: how a model fits, how fast it may be, how far a download is.
 * Promises: pure; nothing is said by colour alone: each colour has its word here.
 * Does not cover: where the figures come from; the daemon works them out.
 */
import { formatBytes, formatParameters, formatSeconds } from "../format";
import type { Disk, Model } from "../wire/contract";
import type { Download, Fits, Phase, Speed } from "../wire/models";

export const FIT_WORDS: Record<Fits, string> = {
  gpu: "Fits the GPU",
  partly: "Partly on the GPU",
  cpu: "Fits, on the processor",
  tight: "Tight",
  no: "Too large",
  unknown: "Not known",
};

export const CAPABILITY_WORDS: Record<string, string> = {
  chat: "Chat",
  code: "Code",
  tools: "Tools",
  vision: "Vision",
  embedding: "Embedding",
  rerank: "Rerank",
  speech: "Speech",
};

export const ROLE_WORDS: Record<string, { name: string; what: string }> = {
  main: { name: "Main", what: "Talks and works with you" },
  rlm: { name: "Reader", what: "Reads long texts piece by piece (rlm)" },
  memory: { name: "Memory", what: "Sums up what is to be remembered" },
  embed: { name: "Embeddings", what: "Turns texts into vectors, for search" },
  vision: { name: "Vision", what: "Looks at images; sending them comes with a later version" },
};

export const roleName = (role: string): string => ROLE_WORDS[role]?.name ?? role;

const PHASES: Record<Phase, string> = {
  resolving: "Looking it up",
  fetching: "Downloading",
  checking: "Checking",
  converting: "Converting",
  quantizing: "Quantizing",
  done: "Finishing",
};

/** "about 12 tokens/s (8 to 15)"; empty where nothing can be told. */
export function speedWords(speed: Speed | null): string {
  if (!speed || speed.expected <= 0) return "";
  const [low, expected, high] = [speed.low, speed.expected, speed.high].map(rateFigure);
  return low === high ? `about ${expected} tokens/s` : `about ${expected} tokens/s (${low} to ${high})`;
}

function rateFigure(rate: number): string {
  return Number(rate.toFixed(rate < 10 ? 1 : 0)).toLocaleString("en-US");
}

/** What one download is doing, in two or three words. */
export function phaseWords(download: Download): string {
  switch (download.state) {
    case "queued":
      return "Waiting for its turn";
    case "paused":
      return "Paused";
    case "failed":
      return "Failed";
    case "cancelled":
      return "Cancelled";
    case "done":
      return "Done";
    default:
      return PHASES[download.phase] ?? "Under way";
  }
}

/** "1.2 GB of 4.8 GB · 12 MB/s · 5 min left": only what is known. */
export function progressWords(download: Download): string {
  const { done, total, rate, eta, state } = download;
  const words = [];
  if (total !== null && total > 0) words.push(`${formatBytes(Math.min(done, total))} of ${formatBytes(total)}`);
  else if (done > 0) words.push(formatBytes(done));
  if (state === "running" && rate > 0) words.push(`${formatBytes(rate)}/s`);
  if (state === "running" && eta !== null && eta >= 0) words.push(`${leftWords(eta)} left`);
  return words.join(" · ");
}

/** A rough time: nobody needs the seconds of an hour. */
export function leftWords(seconds: number): string {
  if (seconds < 1) return "a moment";
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return formatSeconds(seconds);
  const minutes = Math.round(seconds / 60);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/** Whole per cent, or null while the end is not known. Never 100 before the end. */
export function percent(download: Download): number | null {
  if (download.total === null || download.total <= 0) return null;
  const exact = Math.floor((100 * download.done) / download.total);
  return Math.max(0, Math.min(download.state === "done" ? 100 : 99, exact));
}

/** What one chooses an installed model by. */
export function factWords(model: Model): string {
  return [
    model.parameters != null ? `${formatParameters(model.parameters)} parameters` : "",
    model.quantization ?? "",
    formatBytes(model.size_bytes),
    model.kind ?? "chat",
  ]
    .filter((word) => word !== "")
    .join(" · ");
}

export function diskWords(disk: Disk): string {
  const used = disk.quota_bytes > 0 ? `${formatBytes(disk.used_bytes)} of ${formatBytes(disk.quota_bytes)} allowed` : `${formatBytes(disk.used_bytes)} of models`;
  return `${used} · ${formatBytes(disk.free_bytes)} free on the disk`;
}
