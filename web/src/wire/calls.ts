/*
 * The daemon's routes that the page uses, one function each.
 * Promises: paths and bodies are written nowhere else. Does not cover: keys, links and imports; those belong to the CLI.
 */
import type { Conversation, ConversationPage, ModelList, Sampling, Status } from "./contract";
import { request, requestJson } from "./request";

const BASE = "/homefire/v1";

const one = (id: string): string => `${BASE}/conversations/${encodeURIComponent(id)}`;

/** A sampling with nothing set is left out: the daemon's defaults are the daemon's. */
const withSampling = (sampling: Sampling): { sampling?: Sampling } =>
  Object.keys(sampling).length > 0 ? { sampling } : {};

export interface NewMessage {
  content: string;
  /** Absent: after the newest leaf. Null: a new beginning. */
  parent_id?: string | null;
}

export interface ConversationFields {
  title?: string;
  model?: string;
  system?: string;
}

export const calls = {
  login: async (code: string): Promise<void> => {
    await request("POST", `${BASE}/login`, { body: { code } });
  },

  logout: async (): Promise<void> => {
    await request("POST", `${BASE}/logout`);
  },

  models: (): Promise<ModelList> => requestJson("GET", `${BASE}/models`),

  status: (): Promise<Status> => requestJson("GET", `${BASE}/status`),

  conversations: (query: string, before: number | null, signal: AbortSignal): Promise<ConversationPage> => {
    const words = new URLSearchParams({ limit: "50" });
    if (query) words.set("q", query);
    if (before !== null) words.set("before", String(before));
    return requestJson("GET", `${BASE}/conversations?${words}`, { signal });
  },

  conversation: (id: string): Promise<Conversation> => requestJson("GET", one(id)),

  create: (fields: ConversationFields): Promise<Conversation> =>
    requestJson("POST", `${BASE}/conversations`, { body: fields }),

  change: (id: string, fields: ConversationFields): Promise<Conversation> =>
    requestJson("PATCH", one(id), { body: fields }),

  remove: async (id: string): Promise<void> => {
    await request("DELETE", one(id));
  },

  restore: (id: string): Promise<Conversation> => requestJson("POST", `${one(id)}/restore`),

  say: (id: string, message: NewMessage, sampling: Sampling, signal: AbortSignal): Promise<Response> =>
    request("POST", `${one(id)}/messages`, { body: { ...message, ...withSampling(sampling) }, signal }),

  regenerate: (id: string, messageId: string, sampling: Sampling, signal: AbortSignal): Promise<Response> =>
    request("POST", `${one(id)}/messages/${encodeURIComponent(messageId)}/regenerate`, {
      body: withSampling(sampling),
      signal,
    }),
};
