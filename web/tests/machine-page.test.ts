/*
 * The machine page as it is drawn: a name for each control, a word beside each colour, no zero for what is not measured.
 */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeEach, describe, expect, it } from "vitest";
import { Desk } from "../src/conversation/desk";
import { Crashes } from "../src/machine/crashes";
import { Decisions } from "../src/machine/decisions";
import { Elsewhere } from "../src/machine/elsewhere";
import { KeptCaches } from "../src/machine/kept";
import { Machine } from "../src/machine/machine";
import { MemoryBars } from "../src/machine/memory";
import { Queue } from "../src/machine/queue";
import { Residents } from "../src/machine/residents";
import { Sensors } from "../src/machine/sensors";
import { asElsewhere, asReading, asResidency } from "../src/wire/machine";
import { ENGINE, READING, RESIDENCY } from "./machine-samples";

let machine: Machine;

beforeEach(() => {
  machine = new Machine(new Desk());
});

const draw = (node: ReactNode): string => renderToStaticMarkup(node);
const text = (html: string): string => html.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
const names = (html: string): string[] => [...html.matchAll(/<(?:button|select)([^>]*)>/g)].map(([, attributes = ""]) => /aria-label="([^"]*)"/.exec(attributes)?.[1] ?? "");
const table = asResidency(RESIDENCY);
const residents = (changes: object = {}): string => draw(createElement(Residents, { machine, table: { ...table, ...changes }, passed: 0, gone: false }));

describe("models in memory", () => {
  it("say why they are there, how they are loaded and used, and when they leave", () => {
    const said = text(residents());
    for (const words of ["Here because 2 requests wanted it.", "A context of 8,192 tokens and 8 slots", "1 of 10 places", "5 min after its last use", "Never: it is pinned", "3.2 a minute", "took 1.3 s", "Restarts 2", "smaller than usual", "Ready"]) {
      expect(said).toContain(words);
    }
  });

  it("have a name for each control", () => {
    machine.desk.models.set({ default: null, models: [{ name: "llama" }, { name: "qwen" }] as never });
    expect(names(residents())).toEqual(["Model to load", "", "How long qwen stays", "Keep qwen in memory", "Unload qwen", "How long pilot stays", "Keep pilot in memory", "Unload pilot"]);
    expect(text(residents())).toContain("Load");
    expect(residents()).toContain('aria-pressed="true" aria-disabled="false" aria-label="Keep pilot in memory"');
  });

  it("only those that are not there can be loaded", () => {
    machine.desk.models.set({ default: null, models: [{ name: "qwen" }, { name: "pilot" }] as never });
    expect(residents()).not.toContain("Model to load");
    expect([...residents({ models: [] }).matchAll(/<option value="([^"]*)"/g)].map(([, name]) => name)).toEqual(["qwen", "pilot"]);
    expect(text(residents({ models: [] }))).toContain("No model is in memory.");
  });

  it("can be asked for nothing while the daemon is silent", () => {
    const html = draw(createElement(Residents, { machine, table, passed: 0, gone: true }));
    expect(html).not.toMatch(/<button[^>]*aria-disabled="false"/);
  });
});

describe("memory, waiting and leaving", () => {
  it("the bar is one picture with a sentence, and a list", () => {
    const html = draw(createElement(MemoryBars, { table }));
    expect(html).toContain('role="img" aria-label="Main memory: qwen 3.0 GiB, pilot 256 MiB');
    expect(text(html)).toContain("3.0 GiB promised, 2.0 GiB measured");
    expect(text(html)).toContain("GPU memory");
    expect(text(html)).not.toContain("No GPU");
    expect(text(draw(createElement(MemoryBars, { table: { ...table, devices: table.devices.slice(0, 1) } })))).toContain("No GPU with memory of its own");
    expect(text(draw(createElement(MemoryBars, { table: asResidency({}) })))).toContain("when the first one is loaded");
  });

  it("what waits, what leaves next, and what left and is near", () => {
    const said = text(draw(createElement(Queue, { table, passed: 0 })));
    for (const words of ["llama : 3 requests of 2 senders", "Next to leave: qwen , in 1 min 5 s", "mistral (4.0 GiB, 97 % there)"]) expect(said).toContain(words);
    expect(text(draw(createElement(Queue, { table: asResidency({}), passed: 0 })))).toContain("Nothing waits for a model.");
  });
});

describe("sensors", () => {
  it("what is not measured says so, and is no zero", () => {
    machine.reading.set(asReading(READING));
    const said = text(draw(createElement(Sensors, { machine })));
    for (const words of ["Processor 20 % 2 logical cores", "Temperature not measured here", "Clock 2.40 GHz of 3.60 GHz", "Utilisation 91 %", "1.0 GiB of 24.0 GiB", "210 W of 350 W", "memory 9.50 GHz", "its clocks are held down", "Fan not measured here", "Governor: memory: level 1 of 3.", "unload idle models"]) {
      expect(said).toContain(words);
    }
  });

  it("no GPU, no governor, no reading", () => {
    machine.reading.set(asReading({ ...READING, gpus: [], governor: null }));
    expect(text(draw(createElement(Sensors, { machine })))).toMatch(/No GPU was found on this machine\. The governor is off\./);
    machine.reading.set(asReading({ age_s: null, governor: null }));
    expect(text(draw(createElement(Sensors, { machine })))).toContain("have not answered yet");
  });
});

describe("the rest", () => {
  it("decisions with their sentence, and filters of what there is", () => {
    machine.decisions.set([
      { number: 2, at: 1000, kind: "refused", model: "big", reason: "It needs 3.0 GiB.", times: 4 },
      { number: 1, at: 990, kind: "loaded", model: "pilot", reason: "1 request wanted it; ready.", times: 1 },
    ]);
    const html = draw(createElement(Decisions, { machine }));
    expect(text(html)).toMatch(/Refused big It needs 3\.0 GiB\. 4 times .*Loaded pilot 1 request wanted it; ready\./);
    expect(names(html)).toEqual(["Of the model", "Of the kind"]);
    expect([...html.matchAll(/<option value="([^"]*)"/g)].map(([, name]) => name)).toEqual(["", "big", "pilot", "", "loaded", "refused"]);
    machine.decisions.set([]);
    expect(text(draw(createElement(Decisions, { machine })))).toContain("Nothing was decided yet.");
  });

  it("kept caches: how much of what is allowed, and deleting only where there is something", () => {
    const kept = (rows: object[], quota: number): string => {
      machine.kept.set({ rows: rows as never, bytes: rows.length * 2 ** 20, quota });
      return draw(createElement(KeptCaches, { machine, gone: false }));
    };
    const row = { conversation: "c1", tokens: 1200, bytes: 2 ** 20, usedAt: 1000 };
    expect(text(kept([row, { ...row, conversation: null }], 2 ** 30))).toMatch(/2 MiB of 1\.0 GiB allowed · 2 kept .*An older conversation 1,200 tokens, 1 MiB/);
    expect(names(kept([row], 2 ** 30))).toEqual(["Delete all kept KV caches"]);
    expect(names(kept([], 2 ** 30))).toEqual([]);
    expect(text(kept([], 0))).toContain("the setting kv_quota_mib is 0");
  });

  it("other engines, or why they are not shown", () => {
    machine.elsewhere.set(asElsewhere({ engines: [ENGINE, { ...ENGINE, name: "cloud", local: false, granted: false, usable: false, found: [] }], chains: { smart: ["vllm/m", "pilot"] } }));
    const said = text(draw(createElement(Elsewhere, { machine })));
    for (const words of ["vllm vllm on this machine May be asked Models: qwen3-8b", "cloud vllm elsewhere Not granted", "smart : vllm/m, then pilot"]) expect(said).toContain(words);
    machine.elsewhere.set({ code: "key_needed", message: "This needs a key." });
    expect(text(draw(createElement(Elsewhere, { machine })))).toContain("on the command line only");
  });

  it("crashes only where there were some", () => {
    expect(draw(createElement(Crashes, { machine }))).toBe("");
    machine.crashes.set([{ child: "qwen", at: 1000, cause: "was killed by SIGKILL", ranSeconds: 12, backAt: 1003 }]);
    expect(text(draw(createElement(Crashes, { machine })))).toContain("qwen was killed by SIGKILL after 12 s; back 3.0 s later.");
  });
});
