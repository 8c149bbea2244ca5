/*
 * The daemon's routes about memory, one function each, and the shapes that they take and give.
 * Promises: paths and bodies of these routes are written nowhere else; a field that is missing reads as not known; nothing throws.
 * Does not cover: what is remembered on its own; agents do that.
 */
import type { Raw } from "./models";
import { request, requestJson } from "./request";

const BASE = "/homefire/v1/memory";

/** A named text that stands in every prompt. `limit` in characters, 0: not known. */
export interface Block {
  name: string;
  text: string;
  version: number;
  limit: number;
  updatedAt: number;
}

export interface Version {
  version: number;
  text: string;
  at: number;
  by: string;
}

/** Something that is remembered, with the words that it came from. Times in Unix seconds, 0: none. */
export interface Fact {
  id: string;
  text: string;
  quote: string;
  source: string;
  confidence: number;
  createdAt: number;
  expiresAt: number;
  /** Ids of facts that say otherwise. */
  contradicts: string[];
  /** Something newer stands in its place. */
  replaced: boolean;
}

export interface Recalled {
  kind: string;
  id: string;
  text: string;
  at: number;
  conversation: string;
}

const block = (name: string): string => `${BASE}/blocks/${encodeURIComponent(name)}`;
const fact = (id: string): string => `${BASE}/facts/${encodeURIComponent(id)}`;

export const memoryCalls = {
  blocks: async (): Promise<Block[]> => rows((await requestJson<Raw>("GET", `${BASE}/blocks`))["blocks"]).map(asBlock),

  /** Refused with `memory_conflict` if the block is not the version that was edited. */
  edit: async (name: string, version: number, text: string): Promise<Block> =>
    asBlock(await requestJson<Raw>("PUT", block(name), { body: { version, text } })),

  versions: async (name: string): Promise<Version[]> => rows((await requestJson<Raw>("GET", `${block(name)}/versions`))["versions"]).map(asVersion),

  restore: async (name: string, version: number): Promise<Block> =>
    asBlock(await requestJson<Raw>("POST", `${block(name)}/restore`, { body: { version } })),

  facts: async (): Promise<Fact[]> => rows((await requestJson<Raw>("GET", `${BASE}/facts?limit=100`))["facts"]).map(asFact),

  forget: async (id: string): Promise<void> => {
    await request("DELETE", fact(id));
  },

  undo: async (id: string): Promise<void> => {
    await request("POST", `${fact(id)}/restore`, { body: {} });
  },

  search: async (query: string): Promise<Recalled[]> =>
    rows((await requestJson<Raw>("POST", `${BASE}/search`, { body: { query, k: 20 } }))["results"]).map(asRecalled),
};

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const record = (value: unknown): Raw => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : {});
const rows = (value: unknown): Raw[] => (Array.isArray(value) ? value.map(record) : []);

export const asBlock = (raw: Raw): Block => ({
  name: text(raw["name"]),
  text: text(raw["text"]),
  version: number(raw["version"]),
  limit: number(raw["most"]),
  updatedAt: number(raw["at"]),
});

const asVersion = (raw: Raw): Version => ({ version: number(raw["version"]), text: text(raw["text"]), at: number(raw["at"]), by: text(raw["by"]) });

export function asFact(raw: Raw): Fact {
  const source = rows(raw["sources"])[0] ?? {};
  return {
    id: String(raw["id"] ?? ""),
    text: text(raw["text"]),
    quote: text(source["words"]),
    source: [text(source["kind"]), text(source["place"])].filter(Boolean).join(" "),
    confidence: typeof raw["confidence"] === "number" ? raw["confidence"] : 1,
    createdAt: number(raw["at"]),
    expiresAt: number(raw["expires_at"]),
    contradicts: Array.isArray(raw["links"]) ? raw["links"].map(String) : [],
    replaced: raw["replaced_by"] != null,
  };
}

export const asRecalled = (raw: Raw): Recalled => ({
  kind: text(raw["kind"]),
  id: text(raw["place"]),
  text: text(raw["text"]),
  at: number(raw["at"]),
  conversation: raw["kind"] === "turn" ? text(raw["thread"]) : "",
});
