/*
 * What the daemon says of agents, as homefire/server/agent_routes.py and tool_routes.py give it.
 */

export const RUN = {
  id: "r1",
  task: "add 17 and 23",
  state: "running",
  ending: "",
  answer: "",
  model: "pilot",
  mode: "full",
  created_at: 1_700_000_000,
  updated_at: 1_700_000_004,
  steps: 7,
  tokens: 39,
  conversation: "c1",
};

export const SHOWN = '{\n "arguments": {\n  "path": "/home/me/a.txt",\n  "text": "\\u2764 <script>alert(1)</script>"\n },\n "tool": "write_file"\n}';

const at = 1_700_000_000;

export const STEPS = [
  { n: 0, at, kind: "ordered", text: "add 17 and 23", label: "person" },
  { n: 1, at: at + 1, kind: "thought", text: "I will <b>add</b>.", tokens: 3, tokens_in: 7, tokens_out: 3 },
  { n: 2, at: at + 2, kind: "called", call: "k1", tool: "calculate", arguments: '{"expression": "17*23"}', digest: "d", by: "model", tokens_in: 20, tokens_out: 9 },
  { n: 3, at: at + 2, kind: "begun", call: "k1", digest: "d", idempotent: true },
  { n: 4, at: at + 3, kind: "returned", call: "k1", status: "ok", text: "391", code: "", handle: "", size: 3, seconds: 0.5, label: "tool" },
  { n: 5, at: at + 4, kind: "answered", text: "It is 391." },
  { n: 6, at: at + 4, kind: "ended", why: "answered", text: "", code: "" },
];

export const ASKING = [
  STEPS[0],
  { n: 1, at, kind: "called", call: "k1", tool: "write_file", arguments: '{"path": "/home/me/a.txt", "text": "x"}', by: "model" },
  { n: 2, at, kind: "asked", call: "k1", approval: "a1", shown: SHOWN, reason: "The grant asks every time." },
];

export const TOOL = {
  name: "write_file",
  description: "Writes a file.",
  parameters: {},
  risk: "write",
  private: false,
  leads_out: false,
  source: "tool",
  bounds: { folders: true, hosts: false, recipients: false },
  granted: true,
  grant: { folders: ["/home/me/notes"], hosts: [], recipients: [], largest: 65536, ask: true, changed: false },
  asks: "always",
  asks_why: "The grant asks every time.",
  why_not: "",
};
