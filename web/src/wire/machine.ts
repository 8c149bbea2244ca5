/*
 * The daemon's routes about the machine, one function each, and the shapes that they give: what is in memory and why, decisions,
 * sensors, kept KV caches, engines elsewhere, crashes.
 * Promises: paths of these routes are written nowhere else; a field that is missing, or new, breaks nothing: it reads as not
 * known. Does not cover: adding and granting engines, which needs a key and belongs to the command line.
 */
import { request, requestJson } from "./request";

const BASE = "/homefire/v1";

type Raw = Record<string, unknown>;

export type ResidentState = "starting" | "ready" | "draining" | "stopping";

/** Bytes by device: `host`, `gpu`. */
export type Bytes = Readonly<Record<string, number>>;

/** A model in memory. Seconds are null where it never ends or is not known. */
export interface Resident {
  name: string;
  state: ResidentState;
  why: string;
  leases: number;
  /** Answers at once; 0: any number. */
  slots: number;
  reserved: Bytes;
  estimated: Bytes;
  /** Main memory that its process takes; 0 before it was looked at. */
  measured: number;
  restarts: number;
  pinned: boolean;
  keepAlive: number | null;
  idle: number | null;
  leavesIn: number | null;
  loadSeconds: number | null;
  requests: number;
  perMinute: number;
  asLoaded: string;
  smaller: boolean;
}

export interface Waiting {
  model: string;
  requests: number;
  keys: number;
  oldest: number;
  eta: number;
}

/** Memory that models share. `total` and `headroom` null: not known. */
export interface DeviceRoom {
  name: string;
  room: number;
  reserved: number;
  why: string;
  total: number | null;
  headroom: number | null;
}

export interface Leaving {
  model: string;
  seconds: number | null;
  why: string;
}

/** A model that left and whose file lies in main memory still. `share` of it from 0 to 1; null: not known. */
export interface Ashore {
  model: string;
  bytes: number;
  share: number | null;
}

export interface Residency {
  models: Resident[];
  waiting: Waiting[];
  devices: DeviceRoom[];
  leaving: Leaving | null;
  ashore: Ashore[];
}

export interface Decision {
  number: number;
  at: number;
  kind: string;
  model: string;
  reason: string;
  times: number;
}

export interface GpuReading {
  name: string;
  memoryUsed: number | null;
  memoryTotal: number | null;
  busy: number | null;
  temperature: number | null;
  power: number | null;
  powerLimit: number | null;
  clock: number | null;
  highestClock: number | null;
  memoryClock: number | null;
  fan: number | null;
  slowed: boolean | null;
}

export interface GovernorView {
  /** 0 to 3 by rule; 0: all is well. */
  levels: Readonly<Record<string, number>>;
  decisions: { at: number; words: string }[];
}

/** One look at the machine. What it does not show is null, never 0. */
export interface Reading {
  at: number;
  /** Seconds since it was taken; null: it never was. */
  age: number | null;
  cores: number[] | null;
  clock: number | null;
  highestClock: number | null;
  temperature: number | null;
  slowed: boolean | null;
  memoryTotal: number | null;
  memoryAvailable: number | null;
  swapTotal: number | null;
  swapUsed: number | null;
  gpus: GpuReading[];
  governor: GovernorView | null;
}

export interface Kept {
  rows: { conversation: string | null; tokens: number; bytes: number; usedAt: number }[];
  bytes: number;
  quota: number;
}

export interface FarEngine {
  name: string;
  kind: string;
  local: boolean;
  granted: boolean;
  usable: boolean;
  /** Its circuit breaker: closed lets requests through. */
  state: string;
  rest: number;
  found: string[];
  models: string[];
}

export interface Elsewhere {
  engines: FarEngine[];
  /** Who answers for a name, in turn. */
  chains: { name: string; order: string[] }[];
}

export interface Crash {
  child: string;
  at: number;
  cause: string;
  ranSeconds: number;
  backAt: number | null;
}

const one = (name: string): string => `${BASE}/models/${encodeURIComponent(name)}`;

export const machineCalls = {
  events: (signal: AbortSignal): Promise<Response> => request("GET", `${BASE}/events`, { signal }),

  sensors: (seconds: number, signal: AbortSignal): Promise<Response> =>
    request("GET", `${BASE}/sensors/watch?seconds=${seconds}`, { signal }),

  decisions: async (limit: number): Promise<Decision[]> =>
    rows((await requestJson<Raw>("GET", `${BASE}/decisions?limit=${limit}`))["decisions"]).map(asDecision),

  kept: async (): Promise<Kept> => asKept(await requestJson<Raw>("GET", `${BASE}/kept`)),

  clearKept: async (): Promise<void> => {
    await request("DELETE", `${BASE}/kept`);
  },

  elsewhere: async (): Promise<Elsewhere> => asElsewhere(await requestJson<Raw>("GET", `${BASE}/engines`)),

  crashes: async (): Promise<Crash[]> => rows((await requestJson<Raw>("GET", `${BASE}/restarts`))["restarts"]).map(asCrash),

  /** Answers when the model is ready. `keep_alive` in seconds; negative: until its memory is needed. */
  load: async (name: string, how: { keep_alive?: number; pin?: boolean }): Promise<void> => {
    await request("POST", `${one(name)}/load`, { body: how });
  },

  /** Answers when the model is gone. `now`: answers under way break. */
  unload: async (name: string, now: boolean): Promise<void> => {
    await request("POST", `${one(name)}/unload`, { body: { now } });
  },
};

// -- What came, in the page's shapes. Nothing here throws.

const number = (value: unknown): number => numberOr(value) ?? 0;
const numberOr = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const truthOr = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((each) => typeof each === "string") : []);
const raw = (value: unknown): Raw => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : {});
const rows = (value: unknown): Raw[] => (Array.isArray(value) ? value.map(raw) : []);
const bytesIn = (value: unknown): Bytes => Object.fromEntries(Object.entries(raw(value)).map(([name, size]) => [name, number(size)]));

function asResident(row: Raw): Resident {
  return {
    name: text(row["name"]),
    state: (text(row["state"]) || "ready") as ResidentState,
    why: text(row["why"]),
    leases: number(row["leases"]),
    slots: number(row["slots"]),
    reserved: bytesIn(row["reserved_bytes"]),
    estimated: bytesIn(row["estimated_bytes"]),
    measured: number(row["measured_bytes"]),
    restarts: number(row["restarts"]),
    pinned: row["pinned"] === true,
    keepAlive: numberOr(row["keep_alive_s"]),
    idle: numberOr(row["idle_s"]),
    leavesIn: numberOr(row["leaves_in_s"]),
    loadSeconds: numberOr(row["load_s"]),
    requests: number(row["requests"]),
    perMinute: number(row["requests_per_minute"]),
    asLoaded: text(row["as_loaded"]),
    smaller: row["smaller"] === true,
  };
}

export function asResidency(found: Raw): Residency {
  const leaving = found["next_to_leave"] ? raw(found["next_to_leave"]) : null;
  return {
    models: rows(found["models"]).map(asResident),
    waiting: rows(found["waiting"]).map((row) => ({
      model: text(row["model"]),
      requests: number(row["requests"]),
      keys: number(row["keys"]),
      oldest: number(row["oldest_s"]),
      eta: number(row["eta_s"]),
    })),
    devices: rows(found["devices"]).map((row) => ({
      name: text(row["name"]),
      room: number(row["room_bytes"]),
      reserved: number(row["reserved_bytes"]),
      why: text(row["why"]),
      total: numberOr(row["total_bytes"]),
      headroom: numberOr(row["headroom_bytes"]),
    })),
    leaving: leaving && { model: text(leaving["model"]), seconds: numberOr(leaving["in_s"]), why: text(leaving["why"]) },
    ashore: rows(found["in_host_memory"]).map((row) => ({
      model: text(row["model"]),
      bytes: number(row["bytes"]),
      share: numberOr(row["share"]),
    })),
  };
}

export function asDecision(row: Raw): Decision {
  return {
    number: number(row["number"]),
    at: number(row["at"]),
    kind: text(row["kind"]),
    model: text(row["model"]),
    reason: text(row["reason"]),
    times: number(row["times"]) || 1,
  };
}

function asGpu(row: Raw): GpuReading {
  return {
    name: text(row["name"]) || text(row["vendor"]) || "GPU",
    memoryUsed: numberOr(row["memory_used_bytes"]),
    memoryTotal: numberOr(row["memory_total_bytes"]),
    busy: numberOr(row["busy_percent"]),
    temperature: numberOr(row["temperature_c"]),
    power: numberOr(row["power_w"]),
    powerLimit: numberOr(row["power_limit_w"]),
    clock: numberOr(row["clock_mhz"]),
    highestClock: numberOr(row["highest_clock_mhz"]),
    memoryClock: numberOr(row["memory_clock_mhz"]),
    fan: numberOr(row["fan_percent"]),
    slowed: truthOr(row["slowed"]),
  };
}

export function asReading(found: Raw): Reading {
  const cpu = raw(found["cpu"]);
  const cores = cpu["cores_percent"];
  const governor = found["governor"] ? raw(found["governor"]) : null;
  return {
    at: number(found["at"]),
    age: numberOr(found["age_s"]),
    cores: Array.isArray(cores) && cores.length > 0 ? cores.map(number) : null,
    clock: numberOr(cpu["clock_mhz"]),
    highestClock: numberOr(cpu["highest_clock_mhz"]),
    temperature: numberOr(cpu["temperature_c"]),
    slowed: truthOr(cpu["slowed"]),
    memoryTotal: numberOr(found["memory_total_bytes"]),
    memoryAvailable: numberOr(found["memory_available_bytes"]),
    swapTotal: numberOr(found["swap_total_bytes"]),
    swapUsed: numberOr(found["swap_used_bytes"]),
    gpus: rows(found["gpus"]).map(asGpu),
    governor: governor && {
      levels: bytesIn(governor["levels"]),
      decisions: rows(governor["decisions"]).map((row) => ({ at: number(row["at"]), words: text(row["words"]) })),
    },
  };
}

export function asKept(found: Raw): Kept {
  return {
    rows: rows(found["kept"]).map((row) => ({
      conversation: text(row["conversation"]) || null,
      tokens: number(row["tokens"]),
      bytes: number(row["bytes"]),
      usedAt: number(row["used_at"]),
    })),
    bytes: number(found["bytes"]),
    quota: number(found["quota_bytes"]),
  };
}

export function asElsewhere(found: Raw): Elsewhere {
  return {
    engines: rows(found["engines"]).map((row) => ({
      name: text(row["name"]),
      kind: text(row["kind"]),
      local: row["local"] === true,
      granted: row["granted"] === true,
      usable: row["usable"] === true,
      state: text(row["state"]) || "closed",
      rest: number(row["rest_s"]),
      found: texts(row["found"]),
      models: texts(row["models"]),
    })),
    chains: Object.entries(raw(found["chains"])).map(([name, order]) => ({ name, order: texts(order) })),
  };
}

function asCrash(row: Raw): Crash {
  return {
    child: text(row["child"]),
    at: number(row["at"]),
    cause: text(row["cause"]),
    ranSeconds: number(row["ran_seconds"]),
    backAt: numberOr(row["back_at"]),
  };
}
