/*
 * The daemon's routes about agents and tools that the page may use, one function each, and the shapes that they take and give.
 * Promises: paths and bodies of these routes are written nowhere else; a field that is missing reads as not known; nothing throws.
 * Does not cover: granting tools and working in a folder of this machine. They need a key, which no page has.
 */
import type { Message } from "./contract";
import type { Raw } from "./models";
import { request, requestJson } from "./request";

const BASE = "/homefire/v1";
const RUNS = `${BASE}/agent/runs`;

export type RunState = "running" | "waiting" | "interrupted" | "ended";
export type Ending = "answered" | "stopped" | "budget" | "loop" | "helpless" | "failed" | "";

export interface Run {
  id: string;
  task: string;
  state: RunState;
  ending: Ending;
  answer: string;
  model: string;
  mode: string;
  createdAt: number;
  updatedAt: number;
  steps: number;
  tokens: number;
  conversation: string;
}

/** One step as it was recorded; the fields of its kind stand in `body`. */
export interface Step {
  n: number;
  at: number;
  kind: string;
  body: Raw;
}

export interface Grant {
  folders: string[];
  hosts: string[];
  recipients: string[];
  ask: boolean;
  changed: boolean;
}

export interface Tool {
  name: string;
  description: string;
  risk: string;
  private: boolean;
  leadsOut: boolean;
  granted: boolean;
  grant: Grant | null;
  /** Which bounds a grant of it may name. */
  takes: { folders: boolean; hosts: boolean; recipients: boolean };
  asks: string;
  asksWhy: string;
  whyNot: string;
}

export interface Timer {
  id: string;
  at: number;
  text: string;
  /** Its time came. */
  rung: boolean;
  run: string;
}

/** Where in a conversation a run is begun, and with what. */
export type Order = { conversation: string } & ({ task: string; parent_id?: string | null } | { again: string });

const one = (id: string): string => `${RUNS}/${encodeURIComponent(id)}`;

export const agentCalls = {
  start: async (order: Order, signal: AbortSignal): Promise<{ run: Run; messages: Message[] }> => {
    const made = await requestJson<Raw>("POST", RUNS, { body: order, signal });
    return { run: asRun(made), messages: (Array.isArray(made["messages"]) ? made["messages"] : []) as Message[] };
  },

  runs: async (): Promise<Run[]> => rows((await requestJson<Raw>("GET", `${RUNS}?limit=50`))["runs"]).map(asRun),

  run: async (id: string): Promise<Run> => asRun(await requestJson<Raw>("GET", one(id))),

  /** The steps from a place on, as many as the daemon gives at once. */
  steps: async (id: string, from: number): Promise<{ run: Run; steps: Step[]; more: boolean }> => {
    const found = await requestJson<Raw>("GET", `${one(id)}/steps?from=${from}`, { accept: "application/json" });
    return { run: asRun(record(found["run"])), steps: rows(found["steps"]).map(asStep), more: found["more"] === true };
  },

  /** The same as they happen. */
  follow: (id: string, from: number, signal: AbortSignal): Promise<Response> =>
    request("GET", `${one(id)}/steps?from=${from}`, { accept: "text/event-stream", signal }),

  decide: async (id: string, call: string, yes: boolean, text = ""): Promise<Run> =>
    asRun(await requestJson<Raw>("POST", `${one(id)}/decide`, { body: { call, yes, text } })),

  say: async (id: string, text: string): Promise<Run> => asRun(await requestJson<Raw>("POST", `${one(id)}/say`, { body: { text } })),

  stop: async (id: string): Promise<Run> => asRun(await requestJson<Raw>("POST", `${one(id)}/stop`, { body: {} })),

  resume: async (id: string): Promise<Run> => asRun(await requestJson<Raw>("POST", `${one(id)}/resume`, { body: {} })),

  remove: async (id: string): Promise<void> => {
    await request("DELETE", one(id));
  },

  tools: async (): Promise<Tool[]> => rows((await requestJson<Raw>("GET", `${BASE}/tools`))["tools"]).map(asTool),

  putAway: async (timer: string): Promise<void> => {
    await request("DELETE", `${BASE}/agent/timers/${encodeURIComponent(timer)}`);
  },

  timers: async (): Promise<Timer[]> => rows((await requestJson<Raw>("GET", `${BASE}/agent/timers`))["timers"]).map(asTimer),
};

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : []);
const record = (value: unknown): Raw => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : {});
const rows = (value: unknown): Raw[] => (Array.isArray(value) ? value.map(record) : []);

export const asRun = (raw: Raw): Run => ({
  id: text(raw["id"]),
  task: text(raw["task"]),
  state: text(raw["state"]) as RunState,
  ending: text(raw["ending"]) as Ending,
  answer: text(raw["answer"]),
  model: text(raw["model"]),
  mode: text(raw["mode"]),
  createdAt: number(raw["created_at"]),
  updatedAt: number(raw["updated_at"]),
  steps: number(raw["steps"]),
  tokens: number(raw["tokens"]),
  conversation: text(raw["conversation"]),
});

export const asStep = (raw: Raw): Step => ({ n: number(raw["n"]), at: number(raw["at"]), kind: text(raw["kind"]), body: raw });

export function asTool(raw: Raw): Tool {
  const grant = raw["grant"] ? record(raw["grant"]) : null;
  const takes = record(raw["bounds"]);
  return {
    name: text(raw["name"]),
    description: text(raw["description"]),
    risk: text(raw["risk"]),
    private: raw["private"] === true,
    leadsOut: raw["leads_out"] === true,
    granted: raw["granted"] === true,
    grant: grant && {
      folders: texts(grant["folders"]),
      hosts: texts(grant["hosts"]),
      recipients: texts(grant["recipients"]),
      ask: grant["ask"] === true,
      changed: grant["changed"] === true,
    },
    takes: { folders: takes["folders"] === true, hosts: takes["hosts"] === true, recipients: takes["recipients"] === true },
    asks: text(raw["asks"]),
    asksWhy: text(raw["asks_why"]),
    whyNot: text(raw["why_not"]),
  };
}

const asTimer = (raw: Raw): Timer => ({ id: String(raw["id"] ?? ""), at: number(raw["at"]), text: text(raw["text"]), rung: raw["state"] === "rung", run: text(raw["run"]) });
