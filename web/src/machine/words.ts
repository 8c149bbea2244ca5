/*
 * What the page of the machine says in words: states, kinds of decisions, times, who waits.
 * Promises: pure; nothing is said by colour alone: each colour has its word here.
 * Does not cover: why something was decided; the daemon's own sentences say that.
 */
import { formatCount, formatMemory } from "../format";
import { leftWords } from "../models/words";
import type { Bytes, DeviceRoom, FarEngine, GovernorView, Leaving, Residency, Resident, ResidentState, Waiting } from "../wire/machine";

export const STATE_WORDS: Record<ResidentState, string> = {
  starting: "Loading",
  ready: "Ready",
  draining: "Ends its answers",
  stopping: "Leaving",
};

/** Good, on its way, or bad: the colour beside the word. */
export const MOODS: Record<ResidentState, "good" | "fair"> = { starting: "fair", ready: "good", draining: "fair", stopping: "fair" };

const KIND_WORDS: Record<string, string> = {
  loaded: "Loaded",
  evicted: "Made room",
  unloaded: "Unloaded",
  queued: "Waited",
  refused: "Refused",
  retried_smaller: "Smaller",
  failed: "Failed",
  crashed: "Crashed",
  pinned: "Pin",
  shortened: "Shortened",
  truncated: "Cut",
  fell_back: "Fell back",
  kept: "KV cache",
};

export const BAD_KINDS: ReadonlySet<string> = new Set(["refused", "failed", "crashed"]);

/** A kind that this page does not know yet is said in its own word. */
export const kindWord = (kind: string): string => KIND_WORDS[kind] ?? sentence(kind.replaceAll("_", " "));

export const sentence = (words: string): string => (words === "" ? "" : words[0]!.toUpperCase() + words.slice(1));

const DEVICES: Record<string, string> = { host: "Main memory", gpu: "GPU memory" };

export const deviceName = (device: string): string => DEVICES[device] ?? device;

/** "1.2 GiB", or "1.2 GiB + 3.0 GiB GPU" where a model is spread. */
export function bytesWords(bytes: Bytes): string {
  const parts = Object.entries(bytes).filter(([, size]) => size > 0);
  if (parts.length === 0) return "nothing";
  return parts.map(([device, size]) => `${formatMemory(size)}${device === "host" ? "" : ` ${device === "gpu" ? "GPU" : device}`}`).join(" + ");
}

/** Promised, and what was measured of it. */
export function memoryWords({ reserved, measured }: Resident): string {
  return `${bytesWords(reserved)} promised, ${measured > 0 ? `${formatMemory(measured)} measured` : "not measured yet"}`;
}

/** "1 of 10 places", "2" where there are any number. */
export const useWords = ({ leases, slots }: Resident): string => (slots > 0 ? `${leases} of ${slots} places` : leases === 0 ? "no" : String(leases));

/** When a model leaves, `passed` seconds after that was said. */
export function leavesWords({ pinned, leavesIn, leases, state, keepAlive }: Resident, passed: number): string {
  if (state === "stopping") return "now";
  if (state === "draining") return "when its answers have ended";
  if (pinned) return "never: it is pinned";
  if (leavesIn !== null) return `in ${leftWords(Math.max(0, leavesIn - passed))}`;
  if (keepAlive === null) return "when its memory is needed";
  return leases > 0 || state === "starting" ? `${leftWords(keepAlive)} after its last use` : "when its memory is needed";
}

export function rateWords({ perMinute, requests }: Resident): string {
  const rate = perMinute > 0 && perMinute < 0.1 ? "less than 0.1" : String(Number(perMinute.toFixed(1)));
  return `${rate} a minute, ${formatCount(requests)} in all`;
}

export const KEEP_CHOICES: [seconds: number, words: string][] = [
  [0, "leaves as soon as it is idle"],
  [60, "1 min after its last use"],
  [300, "5 min after its last use"],
  [1800, "30 min after its last use"],
  [7200, "2 h after its last use"],
  [-1, "until its memory is needed"],
];

/** The choices with the present one among them. */
export function keepChoices(keepAlive: number | null): [number, string][] {
  const now = keepAlive ?? -1;
  if (KEEP_CHOICES.some(([seconds]) => seconds === now)) return KEEP_CHOICES;
  const at = KEEP_CHOICES.findIndex(([seconds]) => seconds > now || seconds < 0);
  return KEEP_CHOICES.toSpliced(at, 0, [now, `${leftWords(now)} after its last use`]);
}

/** Who waits for one model, without its name. */
export function waitingWords({ requests, keys, oldest, eta }: Waiting, passed: number): string {
  const who = `${formatCount(requests)} ${requests === 1 ? "request" : "requests"}${keys > 1 ? ` of ${keys} senders` : ""}`;
  return `${who}, the oldest for ${leftWords(oldest + passed)}; the next turn in about ${leftWords(Math.max(0, eta - passed))}`;
}

export function leavingWords({ seconds, why }: Leaving, passed: number): string {
  return seconds === null ? why : `in ${leftWords(Math.max(0, seconds - passed))}: ${why}`;
}

/** "Place 2 in the queue, about 12 s": of an answer that waits for its model. */
export function placeWords(place: number, eta: number): string {
  return `${place <= 1 ? "Next in the queue" : `Place ${place} in the queue`}, about ${leftWords(eta)}`;
}

/** What happened to models between two tables, for those who listen; "" for what is not worth a word. */
export function changeWords(before: Residency, now: Residency): string {
  const was = new Map(before.models.map((model) => [model.name, model.state]));
  const is = new Map(now.models.map((model) => [model.name, model.state]));
  const said = [...is].filter(([name, state]) => state === "ready" && was.get(name) !== "ready").map(([name]) => `${name} is in memory.`);
  const left = [...was.keys()].filter((name) => !is.has(name)).map((name) => `${name} has left the memory.`);
  return [...said, ...left].join(" ");
}

export interface Share {
  kind: "model" | "free" | "headroom" | "other";
  name: string;
  bytes: number;
  /** Of a model's bytes those that its process was seen to take; null: nobody can say on this device. */
  measured: number | null;
  /** From 1, of models only; the same in the bar and in the list. */
  number: number;
}

/** How a device's memory is divided, in the order of the bar. */
export function sharesOf(device: DeviceRoom, models: readonly Resident[]): Share[] {
  const found: Share[] = [];
  models.forEach((model, index) => {
    const bytes = model.reserved[device.name] ?? 0;
    if (bytes <= 0) return;
    const measured = device.name === "host" && model.measured > 0 ? Math.min(model.measured, bytes) : null;
    found.push({ kind: "model", name: model.name, bytes, measured, number: index + 1 });
  });
  const rest = (kind: Share["kind"], name: string, bytes: number): void => {
    if (bytes > 0) found.push({ kind, name, bytes, measured: null, number: 0 });
  };
  rest("free", "Room for more", device.room - device.reserved);
  if (device.total !== null) {
    rest("headroom", "Stays free", Math.min(device.headroom ?? 0, device.total));
    rest("other", "Not for models", device.total - Math.max(device.room, device.reserved) - (device.headroom ?? 0));
  }
  return found;
}

/** The bar in one sentence, for those who do not see it. */
export function sharesWords(device: DeviceRoom, shares: readonly Share[]): string {
  return `${deviceName(device.name)}: ${shares.map(({ name, bytes }) => `${name} ${formatMemory(bytes)}`).join(", ")}`;
}

/** How a far engine stands: a word, what it means, and whether that is well. */
export function engineWords({ granted, usable, state, rest }: FarEngine): { word: string; mood: "good" | "fair" | "plain" } {
  if (state === "open") return { word: rest > 0 ? `Rests, ${leftWords(rest)} still` : "Rests", mood: "fair" };
  if (state === "half_open") return { word: "Being tried again", mood: "fair" };
  if (!granted && !usable) return { word: "Not granted", mood: "plain" };
  return usable ? { word: "May be asked", mood: "good" } : { word: "Off", mood: "plain" };
}

/** The governor in a few words: the worst of its rules. */
export function governorWords(view: GovernorView): { words: string; mood: "good" | "fair" } {
  const high = Object.entries(view.levels).filter(([, level]) => level > 0);
  if (high.length === 0) return { words: "Governor: all is well.", mood: "good" };
  return { words: `Governor: ${high.map(([rule, level]) => `${rule}: level ${level} of 3`).join("; ")}.`, mood: "fair" };
}
