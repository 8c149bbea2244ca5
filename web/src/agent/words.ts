/*
 * What the page says of runs, calls and tools.
 * Promises: pure; a word that nobody knows is shown as it is. Does not cover: where it stands.
 */
import { formatBytes, formatCount, formatSeconds } from "../format";
import type { Run, Tool } from "../wire/agent";
import type { CallRow, RunView } from "./steps";

const STATUS: Record<string, string> = {
  ok: "done",
  empty: "nothing there",
  error: "failed",
  refused: "not done",
  cached: "known from before",
  unknown: "not known whether it was done",
};

const ENDINGS: Record<string, string> = {
  answered: "Answered",
  stopped: "Stopped",
  budget: "Its budget is spent",
  loop: "It only repeated itself",
  helpless: "The model could not be brought to a call",
  failed: "It failed",
};

export const endingWords = (ending: string): string => ENDINGS[ending] ?? ending;

export const stateWords = ({ state, ending }: Run): string =>
  state === "ended" ? endingWords(ending) : state === "waiting" ? "Waits for you" : state === "interrupted" ? "Interrupted" : "Running";

/** How a call stands: in a word, with its time where it is over. */
export function callWords({ asked, decided, begun, returned }: CallRow): string {
  if (returned) {
    const code = returned.code && returned.status !== "ok" ? ` (${returned.code.replaceAll("_", " ")})` : "";
    return `${STATUS[returned.status] ?? returned.status}${code}, ${formatSeconds(returned.seconds)}`;
  }
  if (asked && !decided) return "waits for you";
  if (decided && !decided.yes) return "you said no";
  return begun ? "under way" : "about to begin";
}

/** "3 calls · 1,234 tokens · 4.2 s". */
export function runWords(view: RunView): string {
  const calls = view.rows.filter((row) => row.kind === "call").length;
  const parts = [calls === 1 ? "1 call" : `${formatCount(calls)} calls`];
  if (view.tokens > 0) parts.push(`${formatCount(view.tokens)} tokens`);
  if (view.last > view.began) parts.push(formatSeconds(view.last - view.began));
  return parts.join(" · ");
}

export const sizeWords = (bytes: number): string => `${formatBytes(bytes)} in all`;

export const ASKS: Record<string, string> = { always: "Asks every time", sometimes: "May ask", never: "Does not ask" };

export const RISKS: Record<string, string> = {
  read: "looks",
  write: "writes",
  run: "runs programs",
  send: "sends",
  spend: "spends",
  admin: "changes this machine",
};

/** What a grant reaches, in a sentence; "" where there is nothing to say. */
export function reachWords({ grant, takes }: Tool): string {
  if (!grant) return "";
  const parts: string[] = [];
  if (takes.folders) parts.push(grant.folders.length ? `its own folder and ${grant.folders.join(", ")}` : "its own folder only");
  if (takes.hosts) parts.push(grant.hosts.length ? `hosts ${grant.hosts.join(", ")}` : "no host");
  if (takes.recipients) parts.push(grant.recipients.length ? `recipients ${grant.recipients.join(", ")}` : "asks about every recipient");
  return parts.length ? `Reaches ${parts.join("; ")}.` : "";
}

/** What grants a tool on the command line, and what takes it back. */
export const COMMANDS = {
  allow: ({ name, takes }: Tool): string =>
    `homefire tools allow ${name}${takes.folders ? " --folder FOLDER" : ""}${takes.hosts ? " --host HOST" : ""}${takes.recipients ? " --recipient WHO" : ""}`,
  deny: ({ name }: Tool): string => `homefire tools deny ${name}`,
};
