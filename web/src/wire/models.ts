/*
 * The daemon's routes about models, one function each, and the shapes that they take and give.
 * Promises: paths and bodies of these routes are written nowhere else; a download's figures come out in one shape, whether
 * they came in a list, an answer or an event.
 * Does not cover: import, export and conversion, which name files of the machine and belong to the command line.
 */
import type { ErrorBody, Roles } from "./contract";
import { readEvents } from "./event-stream";
import { request, requestJson } from "./request";

const BASE = "/homefire/v1";

export type Fits = "gpu" | "partly" | "cpu" | "tight" | "no" | "unknown";
export type Phase = "resolving" | "fetching" | "checking" | "converting" | "quantizing" | "done";
export type DownloadState = "queued" | "running" | "paused" | "done" | "failed" | "cancelled";

/** Tokens a second that may be expected, and the interval. */
export interface Speed {
  low: number;
  expected: number;
  high: number;
}

/** How a quantization of a model would run here. */
export interface Judgement {
  fits: Fits;
  /** Bytes it takes while it runs; 0 if that cannot be told. */
  needs: number;
  why: string;
}

/** The whole of what the daemon foretells of a quantization; `speed` null where it cannot be told. */
export interface Report extends Judgement {
  speed: Speed | null;
}

export interface Offer extends Judgement {
  quantization: string;
  source: string;
  /** Bytes to fetch; 0 if not known. */
  size: number;
  /** Why the engine cannot run it; "" if it can. */
  refused: string;
  /** Nobody offers it: it is quantized on this machine. */
  made: boolean;
}

/** A row of the catalogue. Its own judgement is that of the offer `quantization`. */
export interface Found extends Judgement {
  name: string;
  parameters: number;
  active: number;
  licence: string;
  context: number;
  capabilities: string[];
  languages: string[];
  note: string;
  /** Doubtful: nobody has held this row against its repository. */
  unchecked: boolean;
  /** Under which names it is here already. */
  installedAs: string[];
  quantization: string;
  offers: Offer[];
}

export interface Download {
  id: number;
  source: string;
  /** The model that it becomes. */
  target: string;
  state: DownloadState;
  phase: Phase;
  done: number;
  total: number | null;
  /** Bytes a second. */
  rate: number;
  /** Seconds. */
  eta: number | null;
  error: ErrorBody | null;
}

export interface Choice {
  role: string;
  model: string;
  quantization: string;
  download: number;
  needs: number;
  speed: Speed | null;
  why: string;
  /** Under which name it is here already; "" if it is not. */
  installedAs: string;
}

export interface Proposal {
  tier: string;
  /** A sentence: what such a machine runs. */
  runs: string;
  choices: Choice[];
  /** Whether the hub and the package index were asked if they answer, and what they said; "" where they do. */
  asked: boolean;
  hubReason: string;
  indexReason: string;
}

export interface PullRequest {
  source: string;
  name?: string;
  quantization?: string;
}

export type Raw = Record<string, unknown>;

const one = (name: string): string => `${BASE}/models/${encodeURIComponent(name)}`;

export const modelCalls = {
  catalogue: async (query: string, capability: string, signal: AbortSignal): Promise<Found[]> => {
    const words = new URLSearchParams();
    if (query) words.set("q", query);
    if (capability) words.set("capability", capability);
    const found = await requestJson<{ models: Raw[] }>("GET", `${BASE}/catalogue?${words}`, { signal });
    return found.models.map(asFound);
  },

  report: async (name: string, quantization: string, context: number): Promise<Report> => {
    const words = new URLSearchParams({ quantization, context: String(context) });
    const found = await requestJson<Raw>("GET", `${one(name)}/fit?${words}`);
    return { ...asJudgement(found), speed: asSpeed(found["speed"]) };
  },

  /** `offline`: what can be proposed without asking anybody outside whether they answer. */
  proposal: async (offline: boolean): Promise<Proposal> =>
    asProposal(await requestJson<Raw>("GET", `${BASE}/proposal${offline ? "?offline=1" : ""}`)),

  setRoles: (roles: Roles): Promise<unknown> => requestJson("PUT", `${BASE}/roles`, { body: roles }),

  /** Asks for a download and does not wait for it. */
  pull: async (asked: PullRequest): Promise<Download> =>
    asDownload(await requestJson<Raw>("POST", `${BASE}/models/pull`, { body: { ...asked, watch: false } })),

  downloads: async (signal?: AbortSignal): Promise<Download[]> => {
    const found = await requestJson<{ downloads: Raw[] }>("GET", `${BASE}/downloads`, signal ? { signal } : {});
    return found.downloads.map(asDownload);
  },

  steer: async (id: number, how: "pause" | "resume" | "cancel"): Promise<void> => {
    await request("POST", `${BASE}/downloads/${id}/${how}`);
  },

  watch: (id: number, signal: AbortSignal): Promise<Response> =>
    request("POST", `${BASE}/downloads/${id}/watch`, { body: {}, signal }),

  pin: (name: string, pinned: boolean): Promise<unknown> => requestJson("POST", `${one(name)}/pin`, { body: { pinned } }),

  verify: (name: string, signal: AbortSignal): Promise<Response> => request("POST", `${one(name)}/verify`, { body: {}, signal }),

  remove: async (name: string): Promise<void> => {
    await request("DELETE", one(name));
  },
};

/** The events of a stream of work. An event that nobody knows, or that is not JSON, is passed over. */
export async function* readWork(response: Response): AsyncGenerator<{ name: string; data: Raw }, void> {
  if (!response.body) return;
  for await (const event of readEvents(response.body)) {
    let data: unknown;
    try {
      data = JSON.parse(event.data);
    } catch {
      continue;
    }
    if (typeof data === "object" && data !== null) yield { name: event.name, data: data as Raw };
  }
}

export const errorIn = (data: Raw): ErrorBody => (data["error"] ?? data) as ErrorBody;

// -- What came, in the page's shapes. A field that is missing reads as not known; nothing here throws.

const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
const numberOr = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((one) => typeof one === "string") : []);
const rows = (value: unknown): Raw[] => (Array.isArray(value) ? (value as Raw[]) : []);

const FITS = new Set(["gpu", "partly", "cpu", "tight", "no"]);

function asSpeed(value: unknown): Speed | null {
  if (Array.isArray(value)) {
    const [low, expected, high] = value.map(number);
    return expected ? { low: low ?? 0, expected, high: high ?? 0 } : null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { low, expected, high } = value as Raw;
  return number(expected) > 0 ? { low: number(low), expected: number(expected), high: number(high) } : null;
}

function asJudgement(raw: Raw): Judgement {
  const fits = text(raw["fits"]);
  return {
    fits: FITS.has(fits) ? (fits as Fits) : "unknown",
    needs: number(raw["total_bytes"] ?? raw["bytes"]),
    why: text(raw["why"]),
  };
}

function asOffer(raw: Raw): Offer {
  return {
    ...asJudgement(raw),
    quantization: text(raw["quantization"]),
    source: text(raw["source"]),
    size: number(raw["size_bytes"]),
    refused: text(raw["refused"]),
    made: false,
  };
}

export function asFound(raw: Raw): Found {
  const offers = rows(raw["offers"]).map(asOffer);
  return {
    ...asJudgement(raw),
    name: text(raw["name"]),
    parameters: number(raw["parameters"]),
    active: number(raw["active"]),
    licence: text(raw["licence"]),
    context: number(raw["context"]),
    capabilities: texts(raw["capabilities"]),
    languages: texts(raw["languages"]),
    note: text(raw["note"]),
    unchecked: raw["unchecked"] === true,
    installedAs: texts(raw["installed_as"]),
    quantization: text(raw["quantization"]),
    offers,
  };
}

export function asDownload(raw: Raw): Download {
  const error = raw["error"];
  return {
    id: number(raw["id"]),
    source: text(raw["source"]),
    target: text(raw["target"]),
    state: (text(raw["state"]) || "queued") as DownloadState,
    phase: (text(raw["phase"]) || "resolving") as Phase,
    done: number(raw["done_bytes"]),
    total: numberOr(raw["total_bytes"]),
    rate: number(raw["rate"]),
    eta: numberOr(raw["eta_s"]),
    error: typeof error === "object" && error !== null ? (error as ErrorBody) : null,
  };
}

function asChoice(raw: Raw): Choice {
  return {
    role: text(raw["role"]) === "embedding" ? "embed" : text(raw["role"]),
    model: text(raw["model"]),
    quantization: text(raw["quantization"]),
    download: number(raw["download_bytes"]),
    needs: number(raw["total_bytes"]),
    speed: asSpeed(raw["rates"]),
    why: text(raw["why"]),
    installedAs: text(raw["installed_as"]),
  };
}

export function asProposal(raw: Raw): Proposal {
  const tier = (raw["tier"] ?? {}) as Raw;
  const reach = (raw["reach"] ?? {}) as Raw;
  const embedder = raw["embedder"] as Raw | null | undefined;
  return {
    tier: text(tier["name"]),
    runs: text(tier["runs"]),
    choices: [...rows(raw["choices"]), ...(embedder ? [embedder] : [])].map(asChoice),
    asked: reach["tried"] === true,
    hubReason: text(reach["hub_reason"]),
    indexReason: text(reach["index_reason"]),
  };
}
