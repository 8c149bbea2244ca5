/*
 * What the daemon says of the machine, as homefire/residency/view.py and homefire/hardware/sensors.py give it.
 */

export const RESIDENT = {
  name: "qwen",
  state: "ready",
  why: "2 requests wanted it",
  leases: 1,
  slots: 10,
  reserved_bytes: { host: 3 * 2 ** 30, gpu: 2 ** 30 },
  estimated_bytes: { host: 3 * 2 ** 30, gpu: 2 ** 30 },
  measured_bytes: 2 * 2 ** 30,
  pid: 7,
  restarts: 2,
  pinned: false,
  keep_alive_s: 300,
  idle_s: null,
  leaves_in_s: null,
  load_s: 1.25,
  requests: 1204,
  requests_per_minute: 3.21,
  as_loaded: "a context of 8,192 tokens and 8 slots",
  smaller: true,
};

export const RESIDENCY = {
  models: [RESIDENT, { ...RESIDENT, name: "pilot", leases: 0, pinned: true, reserved_bytes: { host: 2 ** 28 }, measured_bytes: 0, restarts: 0, smaller: false }],
  waiting: [{ model: "llama", requests: 3, keys: 2, oldest_s: 12.4, eta_s: 8 }],
  devices: [
    { name: "host", room_bytes: 20 * 2 ** 30, reserved_bytes: 3.25 * 2 ** 30, why: "32.0 GiB in all", total_bytes: 32 * 2 ** 30, headroom_bytes: 2 ** 30 },
    { name: "gpu", room_bytes: 20 * 2 ** 30, reserved_bytes: 2 ** 30, why: "A card: 24.0 GiB in all", total_bytes: 24 * 2 ** 30, headroom_bytes: 2 ** 30 },
  ],
  pinned: ["pilot"],
  next_to_leave: { model: "qwen", in_s: 65, why: "its keep-alive ends, if nobody asks for it" },
  in_host_memory: [{ model: "mistral", bytes: 4 * 2 ** 30, share: 0.97 }],
};

export const READING = {
  at: 1000,
  age_s: 0.1,
  cpu: { cores_percent: [10, 30], clock_mhz: 2400, highest_clock_mhz: 3600, temperature_c: null, slowed: null },
  memory_total_bytes: 32 * 2 ** 30,
  memory_available_bytes: 20 * 2 ** 30,
  swap_total_bytes: 0,
  swap_used_bytes: 0,
  pressure: null,
  gpus: [
    { vendor: "nvidia", name: "A card", memory_used_bytes: 2 ** 30, memory_total_bytes: 24 * 2 ** 30, busy_percent: 91, temperature_c: 66, power_w: 210.4, power_limit_w: 350, clock_mhz: 1800, highest_clock_mhz: 2100, memory_clock_mhz: 9500, fan_percent: null, slowed: true },
  ],
  governor: { levels: { memory: 1, "cpu heat": 0 }, wish: {}, ceiling_c: 90, floor_bytes: 1, decisions: [{ at: 990, rule: "memory", level_before: 0, level: 1, words: "memory: 0.80 GiB free; level 0 -> 1: unload idle models" }] },
};

export const ENGINE = { name: "vllm", kind: "vllm", models: [], local: true, granted: true, usable: true, state: "closed", rest_s: 0, found: ["qwen3-8b"], added_at: 1, honours: [] };
