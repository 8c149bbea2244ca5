/*
 * What the models page says in words, and what it makes of the daemon's rows.
 */
import { describe, expect, it } from "vitest";
import { roomInFragment } from "../src/conversation/route";
import { hasSpeed, offerWords, optionsOf, targetOf } from "../src/models/catalogue";
import { standingOf } from "../src/models/proposal";
import { candidates } from "../src/models/roles";
import { diskWords, leftWords, percent, phaseWords, progressWords, speedWords } from "../src/models/words";
import { underWay } from "../src/sidebar/models-link";
import { due } from "../src/models/wanted";
import { DOWNLOAD, OFFER, PROPOSAL, ROW } from "./samples";
import { asDownload, asFound, asProposal, type Download } from "../src/wire/models";

const download = (changes: object): Download => asDownload({ ...DOWNLOAD, ...changes });

describe("a download", () => {
  it.each<[object, string, string, number | null]>([
    [{}, "Downloading", "1.2 GB of 4.8 GB · 12 MB/s · 5 min left", 25],
    [{ state: "paused" }, "Paused", "1.2 GB of 4.8 GB", 25],
    [{ phase: "checking", done_bytes: 4_800_000_000, rate: 0, eta_s: null }, "Checking", "4.8 GB of 4.8 GB", 99],
    [{ phase: "resolving", done_bytes: 0, total_bytes: null, rate: 0, eta_s: null }, "Looking it up", "", null],
    [{ state: "queued", done_bytes: 0, total_bytes: null }, "Waiting for its turn", "", null],
    [{ state: "done", done_bytes: 4_800_000_000 }, "Done", "4.8 GB of 4.8 GB", 100],
    [{ phase: "a new one" }, "Under way", "1.2 GB of 4.8 GB · 12 MB/s · 5 min left", 25],
  ])("%j", (changes, phase, progress, part) => {
    expect(phaseWords(download(changes))).toBe(phase);
    expect(progressWords(download(changes))).toBe(progress);
    expect(percent(download(changes))).toBe(part);
  });

  it("carries its error and the next step", () => {
    const error = { code: "source_not_found", message: "There is no such repository.", next_step: "Look at its name." };
    expect(download({ state: "failed", error }).error).toEqual(error);
  });

  it("is a word in the sidebar", () => {
    expect(underWay([])).toBe("");
    expect(underWay([download({})])).toBe("25 %");
    expect(underWay([download({ state: "paused" })])).toBe("paused");
    expect(underWay([download({}), download({ id: 8, state: "queued" })])).toBe("2 under way");
    expect(underWay([download({ state: "failed" })])).toBe("");
  });
});

describe("figures", () => {
  it.each([
    [0.4, "a moment"],
    [4.2, "4 s"],
    [59, "59 s"],
    [75, "1 min 15 s"],
    [3_600, "1 h"],
    [9_000, "2 h 30 min"],
    [7_199, "2 h"],
  ])("%d seconds left", (seconds, words) => expect(leftWords(seconds)).toBe(words));

  it("gives the speed with its interval, and nothing where it is not known", () => {
    expect(speedWords({ low: 7.94, expected: 12.3, high: 20.6 })).toBe("about 12 tokens/s (7.9 to 21)");
    expect(speedWords(null)).toBe("");
    expect(speedWords({ low: 0, expected: 0, high: 0 })).toBe("");
  });

  it("holds the disk against the quota, if there is one", () => {
    expect(diskWords({ used_bytes: 2e9, quota_bytes: 50e9, free_bytes: 120e9 })).toBe("2.0 GB of 50 GB allowed · 120 GB free on the disk");
    expect(diskWords({ used_bytes: 2e9, quota_bytes: 0, free_bytes: 120e9 })).toBe("2.0 GB of models · 120 GB free on the disk");
  });
});

describe("a row of the catalogue", () => {
  it("keeps its offers, each with its own judgement", () => {
    const row = asFound(ROW);
    expect([row.fits, row.needs, row.quantization]).toEqual(["cpu", 3_100_000_000, "Q4_K_M"]);
    expect(row.offers.map((offer) => [offer.quantization, offer.fits])).toEqual([["Q4_K_M", "cpu"], ["Q8_0", "no"]]);
    expect(row.offers.map(offerWords)).toEqual(["Q4_K_M · 2.5 GB", "Q8_0 · 2.5 GB · too large"]);
  });

  it("reads what it does not know as not known", () => {
    const row = asFound({ name: "x", fits: "sideways", offers: "none" });
    expect([row.fits, row.offers, row.capabilities]).toEqual(["unknown", [], []]);
  });

  it("asks for a speed only where there is one to be known", () => {
    const row = asFound(ROW);
    expect(row.offers.map((offer) => hasSpeed(row, offer))).toEqual([true, false]);
    const voice = asFound({ ...ROW, capabilities: ["speech"] });
    expect(hasSpeed(voice, voice.offers[0])).toBe(false);
    const bySize = asFound({ ...ROW, offers: [{ ...OFFER, total_bytes: OFFER.size_bytes }] });
    expect(hasSpeed(bySize, bySize.offers[0])).toBe(false);
    const refused = asFound({ ...ROW, offers: [{ ...OFFER, refused: "The engine cannot read it." }] });
    expect(hasSpeed(refused, refused.offers[0])).toBe(false);
  });
});

describe("quantizations that nobody offers", () => {
  const whole = { ...OFFER, quantization: "F32", source: "hf:intfloat/e5-small-v2" };
  const words = (row: object): string[] => optionsOf(asFound({ ...ROW, ...row })).map(offerWords);

  it("are made here of whole weights", () => {
    expect(words({ offers: [whole, { ...whole, source: "pypi:e5" }] })).toEqual(["F32 · 2.5 GB", "Q8_0 · made here", "Q4_K_M · made here"]);
  });

  it.each<[string, object]>([
    ["where some are offered", {}],
    ["of speech", { offers: [whole], capabilities: ["speech"] }],
    ["of what is a GGUF already", { offers: [{ ...whole, source: "hf:ggml-org/moondream2-GGUF" }] }],
    ["where something is refused", { offers: [whole, { ...whole, quantization: "BF16", refused: "No." }] }],
    ["where there is nothing", { offers: [] }],
  ])("but not %s", (_, row) => expect(words(row).join()).not.toContain("made here"));

  it("get a name of their own, as the daemon gives it", () => {
    const row = asFound({ ...ROW, offers: [{ ...whole, quantization: "I2_S", refused: "No." }, whole, OFFER] });
    expect(row.offers.map((offer) => targetOf(row, offer))).toEqual(["qwen3-4b-i2_s", "qwen3-4b", "qwen3-4b-q4_k_m"]);
  });
});

const installed = (name: string, kind = "chat"): never => ({ name, kind }) as never;

describe("the proposal", () => {
  const proposal = asProposal(PROPOSAL);
  it("names the embedder's role as the daemon's roles do", () => {
    expect(proposal.choices.map((one) => one.role)).toEqual(["main", "rlm", "memory", "embed"]);
    expect(proposal.choices[0]?.speed).toEqual({ low: 5, expected: 10, high: 20 });
    expect(asProposal({ ...PROPOSAL, embedder: null }).choices).toHaveLength(3);
  });

  it("counts each model once, and not what is here or on its way", () => {
    const list = { default: "pilot", models: [installed("pilot")], roles: { main: "pilot", rlm: "pilot", memory: "pilot", embed: "" } };
    expect(standingOf(proposal, list, [])).toEqual({ download: 2.59e9, missing: 2, coming: 0, unused: 0 });
    const coming = download({ target: "qwen3-4b" });
    expect(standingOf(proposal, list, [coming])).toEqual({ download: 9e7, missing: 1, coming: 1, unused: 0 });
    const all = { ...list, models: ["pilot", "qwen3-4b", "all-minilm-l6-v2"].map((name) => installed(name)) };
    expect(standingOf(proposal, all, [])).toEqual({ download: 0, missing: 0, coming: 0, unused: 3 });
    const used = { ...list, models: ["pilot", "qwen3-4b-q4_k_m", "all-minilm-l6-v2"].map((name) => installed(name)), roles: { main: "qwen3-4b-q4_k_m", rlm: "qwen3-4b-q4_k_m", memory: "pilot", embed: "all-minilm-l6-v2" } };
    expect(standingOf(proposal, used, []), "under the quantization's own name").toEqual({ download: 0, missing: 0, coming: 0, unused: 0 });
  });
});

describe("roles", () => {
  it("offer only models that can have them, and the one that has it", () => {
    const models = [installed("pilot"), installed("minilm", "embedding"), installed("judge", "rerank")];
    const list = { default: null, models, roles: { main: "judge" } };
    expect(candidates("main", list).map((model) => model.name)).toEqual(["pilot", "judge"]);
    expect(candidates("embed", list).map((model) => model.name)).toEqual(["minilm"]);
  });

  it("that are wanted wait for their model, and are forgotten without one", () => {
    const wanted = { main: "big", rlm: "small", memory: "gone" };
    expect(due(wanted, new Set(["small"]), new Set(["big"]))).toEqual({ roles: { rlm: "small" }, rest: { main: "big" } });
  });
});

describe("the address", () => {
  it.each([
    ["#/models", "models"],
    ["#/models/", "models"],
    ["#/", "conversations"],
    ["", "conversations"],
    ["#/c/models", "conversations"],
    ["#/modelsx", "conversations"],
  ])("%s", (fragment, room) => expect(roomInFragment(fragment)).toBe(room));
});
