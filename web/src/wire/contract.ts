/*
 * The shapes of what the daemon says and takes, as docs/api.md writes them.
 * Promises: types only, nothing at run time. Does not cover: checking them; what the daemon sends is trusted in form,
 * never in content (an answer's text may hold anything).
 */

export type MessageState = "streaming" | "complete" | "stopped" | "interrupted" | "failed";

export interface ErrorBody {
  message: string;
  code: string;
  type?: string;
  param?: string | null;
  next_step?: string | null;
  source?: string;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface Timings {
  time_to_first_token_s: number | null;
  tokens_per_second: number | null;
}

export interface Message {
  id: string;
  parent_id: string | null;
  role: "user" | "assistant";
  content: string;
  model?: string | null;
  state: MessageState;
  error: ErrorBody | null;
  created_at: number;
  usage: Usage | null;
  timings: Timings | null;
  /** Who gave the answer, and who was asked before; null while nobody has begun it. */
  answered_by?: { name: string; failed: { name: string; code: string }[] } | null;
  /** The run of an agent whose answer this is. */
  run?: string | null;
}

export interface ConversationHead {
  id: string;
  title: string | null;
  model: string | null;
  system: string | null;
  created_at: number;
  updated_at: number;
  notice?: string | null;
}

export interface Conversation extends ConversationHead {
  messages: Message[];
}

export interface ConversationPage {
  conversations: ConversationHead[];
  more: boolean;
}

export interface Model {
  name: string;
  /** How it came: "built-in", "imported", "pulled", "converted", "quantized", "linked". */
  source: string;
  size_bytes: number;
  architecture: string | null;
  parameters: number | string | null;
  quantization: string | null;
  context_length: number | null;
  description: string | null;
  resident: boolean;
  kind?: "chat" | "embedding" | "rerank" | "adapter" | "speech";
  /** Of an adapter, the model that it is for. */
  base?: string | null;
  /** A pinned model cannot be removed. */
  pinned?: boolean;
  /** It lies in another program's store, and is used there. */
  external?: boolean;
  digest?: string | null;
  /** The source as it was asked for; "" if it came from a file here. */
  origin?: string;
  files?: ModelFile[];
}

export interface ModelFile {
  role: string;
  name: string;
  digest: string | null;
  size_bytes: number;
}

export interface Disk {
  used_bytes: number;
  /** 0: no quota. */
  quota_bytes: number;
  free_bytes: number;
}

/** Which model does what: main, rlm, memory, embed, vision. */
export type Roles = Record<string, string | null>;

export interface ModelList {
  default: string | null;
  models: Model[];
  disk?: Disk;
  roles?: Roles;
}

export interface EngineStatus {
  name: string;
  state: "starting" | "ready" | "draining" | "stopping" | "backing_off" | "broken";
  leases: number;
  memory_bytes: number | null;
  restarts: number;
}

export interface Status {
  version: string;
  pid: number;
  started_at: number;
  uptime_s: number;
  url: string;
  elsewhere: string[];
  auth: "on" | "off";
  tls: boolean;
  home: string;
  machine: {
    system: string;
    processor: string;
    cores: number;
    memory_bytes: number;
    memory_available_bytes: number;
  };
  memory_bytes: number;
  models: EngineStatus[];
  waiting: number;
}

export interface Sampling {
  temperature?: number;
  max_tokens?: number;
}

/** What an answer's stream says, one event after another. */
export type AnswerEvent =
  | { kind: "message"; message: Message }
  | { kind: "notice"; text: string }
  | { kind: "delta"; text: string }
  | { kind: "queue"; place: number; eta: number }
  | { kind: "answered_by"; by: NonNullable<Message["answered_by"]> }
  | { kind: "done"; message: Message }
  | { kind: "error"; error: ErrorBody };
