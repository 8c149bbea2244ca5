/*
 * What the daemon says of models, as homefire/server/model_routes.py gives it.
 */

export const DOWNLOAD = {
  id: 7,
  source: "hf:owner/repo:Q4_K_M",
  target: "repo",
  state: "running",
  phase: "fetching",
  done_bytes: 1_200_000_000,
  total_bytes: 4_800_000_000,
  rate: 12_000_000,
  eta_s: 300,
  error: null,
};

export const OFFER = { quantization: "Q4_K_M", source: "hf:a/b:Q4_K_M", size_bytes: 2_500_000_000, total_bytes: 3_100_000_000, fits: "cpu", why: "Fits.", refused: "", unchecked: false };

export const ROW = {
  name: "qwen3-4b",
  parameters: 4_020_000_000,
  active: 4_020_000_000,
  licence: "Apache-2.0",
  languages: ["en"],
  capabilities: ["chat", "tools"],
  context: 40960,
  note: "",
  unchecked: false,
  installed: false,
  installed_as: [],
  quantization: "Q4_K_M",
  fits: "cpu",
  bytes: 3_100_000_000,
  why: "Fits.",
  offers: [OFFER, { ...OFFER, quantization: "Q8_0", fits: "no", why: "Too large by 2 GB." }],
};

const choice = (role: string, model: string, bytes: number): object => ({ role, model, quantization: "Q4_K_M", download_bytes: bytes, total_bytes: bytes, rates: [5, 10, 20], why: "It fits." });

export const PROPOSAL = {
  tier: { name: "laptop", runs: "Models of 3 to 8 billion parameters." },
  choices: [choice("main", "qwen3-4b", 2.5e9), choice("rlm", "qwen3-4b", 2.5e9), choice("memory", "pilot", 0)],
  embedder: choice("embedding", "all-minilm-l6-v2", 9e7),
  reach: { hub: true, index: true, tried: true, hub_reason: "", index_reason: "" },
};
