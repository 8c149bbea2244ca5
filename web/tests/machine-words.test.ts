/*
 * The machine's figures in words, its shares and its lines; and what a daemon of another version says.
 */
import { describe, expect, it } from "vitest";
import { formatMemory } from "../src/format";
import { lineOf, loadOf, sampleOf, WINDOW_S, withSample, type Sample } from "../src/machine/history";
import { withDecision } from "../src/machine/machine";
import { bytesWords, changeWords, engineWords, governorWords, keepChoices, kindWord, leavesWords, leavingWords, memoryWords, placeWords, rateWords, sharesOf, sharesWords, useWords, waitingWords } from "../src/machine/words";
import { machineWords } from "../src/sidebar/machine-link";
import { queueWords } from "../src/thread/message";
import type { Status } from "../src/wire/contract";
import { asElsewhere, asKept, asReading, asResidency, type Resident } from "../src/wire/machine";
import { ENGINE, READING, RESIDENCY } from "./machine-samples";

const table = asResidency(RESIDENCY);
const [qwen, pilot] = table.models as [Resident, Resident];

describe("a model in memory", () => {
  it("says what it takes, by device, and what was measured", () => {
    expect(memoryWords(qwen)).toBe("3.0 GiB + 1.0 GiB GPU promised, 2.0 GiB measured");
    expect(memoryWords(pilot)).toBe("256 MiB promised, not measured yet");
    expect(bytesWords({})).toBe("nothing");
  });

  it("says how it is used", () => {
    expect(useWords(qwen)).toBe("1 of 10 places");
    expect(useWords({ ...qwen, slots: 0 })).toBe("1");
    expect(rateWords(qwen)).toBe("3.2 a minute, 1,204 in all");
    expect(rateWords({ ...qwen, perMinute: 0.04 })).toContain("less than 0.1");
    expect(rateWords({ ...qwen, perMinute: 0 })).toContain("0 a minute");
  });

  it.each<[Partial<Resident>, number, string]>([
    [{}, 0, "5 min after its last use"],
    [{ leases: 0, leavesIn: 65 }, 5, "in 1 min"],
    [{ leases: 0, leavesIn: 3 }, 9, "in a moment"],
    [{ pinned: true, leavesIn: 65 }, 0, "never: it is pinned"],
    [{ keepAlive: null }, 0, "when its memory is needed"],
    [{ state: "draining", pinned: true }, 0, "when its answers have ended"],
    [{ state: "stopping" }, 0, "now"],
  ])("leaves: %o", (changes, passed, words) => {
    expect(leavesWords({ ...qwen, ...changes }, passed)).toBe(words);
  });

  it("has its present keep-alive among the choices, in order", () => {
    expect(keepChoices(300).filter(([seconds]) => seconds === 300)).toHaveLength(1);
    const odd = keepChoices(400).map(([seconds]) => seconds);
    expect(odd.indexOf(400)).toBe(odd.indexOf(300) + 1);
    expect(keepChoices(999_999).map(([seconds]) => seconds).slice(-2)).toEqual([999_999, -1]);
    expect(keepChoices(null)).toHaveLength(keepChoices(300).length);
  });
});

describe("the bar of a device", () => {
  it("adds up to all there is", () => {
    const [host, gpu] = table.devices;
    const shares = sharesOf(host!, table.models);
    expect(shares.map(({ kind, name, number }) => [kind, name, number])).toEqual([
      ["model", "qwen", 1],
      ["model", "pilot", 2],
      ["free", "Room for more", 0],
      ["headroom", "Stays free", 0],
      ["other", "Not for models", 0],
    ]);
    expect(shares.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(32 * 2 ** 30);
    expect(shares.map(({ measured }) => measured)).toEqual([2 * 2 ** 30, null, null, null, null]);
    expect(sharesOf(gpu!, table.models)[0]).toMatchObject({ name: "qwen", measured: null });
    expect(sharesWords(host!, shares)).toBe("Main memory: qwen 3.0 GiB, pilot 256 MiB, Room for more 16.8 GiB, Stays free 1.0 GiB, Not for models 11.0 GiB");
  });

  it("shows only what is known, and no share below nothing", () => {
    const bare = { name: "host", room: 2 ** 30, reserved: 3 * 2 ** 30, why: "", total: null, headroom: null };
    expect(sharesOf(bare, [qwen]).map(({ kind }) => kind)).toEqual(["model"]);
    expect(sharesOf({ ...bare, total: 2 ** 30, headroom: 2 ** 27 }, []).every(({ bytes }) => bytes > 0)).toBe(true);
  });
});

describe("what waits and leaves", () => {
  it("runs down between two tables", () => {
    expect(waitingWords(table.waiting[0]!, 3)).toBe("3 requests of 2 senders, the oldest for 15 s; the next turn in about 5 s");
    expect(waitingWords({ model: "a", requests: 1, keys: 1, oldest: 0, eta: 0 }, 9)).toContain("1 request, the oldest for 9 s; the next turn in about a moment");
    expect(leavingWords(table.leaving!, 5)).toBe("in 1 min: its keep-alive ends, if nobody asks for it");
    expect(leavingWords({ model: "a", seconds: null, why: "when another model needs its memory" }, 5)).toBe("when another model needs its memory");
  });

  it("is said in a conversation: the place, until the turn must have come", () => {
    expect(placeWords(3, 12)).toBe("Place 3 in the queue, about 12 s");
    expect(queueWords({ place: 1, eta: 4, at: 0 }, 1000)).toBe("Next in the queue, about 3 s");
    expect(queueWords({ place: 1, eta: 4, at: 0 }, 7000)).toBe("");
    expect(queueWords({ place: 2, eta: 4, at: 0 }, 60_000)).toBe("Place 2 in the queue, about a moment");
  });

  it("tells a listener who came and went, and of nothing else", () => {
    const one = (name: string, state: string, leases = 0) => ({ ...RESIDENCY.models[0]!, name, state, leases });
    const of = (...models: object[]) => asResidency({ models });
    expect(changeWords(of(), of(one("a", "starting")))).toBe("");
    expect(changeWords(of(one("a", "starting")), of(one("a", "ready")))).toBe("a is in memory.");
    expect(changeWords(of(one("a", "ready")), of(one("a", "ready", 3)))).toBe("");
    expect(changeWords(of(one("a", "stopping")), of(one("b", "ready")))).toBe("b is in memory. a has left the memory.");
  });
});

describe("engines, governor, kinds", () => {
  it.each([
    [{}, "May be asked", "good"],
    [{ granted: false, usable: false, local: false }, "Not granted", "plain"],
    [{ state: "open", rest_s: 8 }, "Rests, 8 s still", "fair"],
    [{ state: "half_open" }, "Being tried again", "fair"],
  ])("%o", (changes, word, mood) => {
    const { engines } = asElsewhere({ engines: [{ ...ENGINE, ...changes }], chains: {} });
    expect(engineWords(engines[0]!)).toEqual({ word, mood });
  });

  it("the governor names the rules that are not calm", () => {
    const { governor } = asReading(READING);
    expect(governorWords(governor!)).toEqual({ words: "Governor: memory: level 1 of 3.", mood: "fair" });
    expect(governorWords({ levels: { memory: 0 }, decisions: [] }).mood).toBe("good");
  });

  it("a kind that nobody knew has its own word", () => {
    expect(kindWord("evicted")).toBe("Made room");
    expect(kindWord("tuned_up")).toBe("Tuned up");
  });

  it("an entry that repeats itself stays one", () => {
    const entry = (number: number, times: number) => ({ number, at: 1, kind: "queued", model: "a", reason: "r", times });
    const list = withDecision([entry(2, 1), entry(1, 1)], entry(2, 5));
    expect(list.map(({ number, times }) => [number, times])).toEqual([
      [2, 5],
      [1, 1],
    ]);
    expect(withDecision(list, entry(3, 1))[0]?.number).toBe(3);
  });
});

describe("the lines of the sensors", () => {
  const sample = (at: number, load: number | null): Sample => ({ at, load, memory: null, temperature: null, gpus: [] });

  it("end at the right edge, with gaps where nothing was measured or nobody looked", () => {
    const history = [sample(0, 0), sample(2, 100), sample(4, null), sample(6, 50), sample(100, 50)];
    const line = lineOf(history, ({ load }) => load, 100)!;
    expect([line.low, line.high]).toEqual([0, 100]);
    expect(line.path.match(/M/g)).toHaveLength(3);
    expect(line.path.endsWith("M100.0 50.0")).toBe(true);
    expect(lineOf(history, ({ temperature }) => temperature, 100)).toBeNull();
    expect(lineOf([], ({ load }) => load, null)).toBeNull();
  });

  it("keep five minutes, and no reading twice", () => {
    let history: readonly Sample[] = [];
    for (let at = 0; at <= 2 * WINDOW_S; at += 2) history = withSample(history, sample(at, 1));
    expect(history).toHaveLength(WINDOW_S / 2);
    expect(withSample(history, sample(2 * WINDOW_S, 2))).toBe(history);
  });

  it("take what is not measured as not measured", () => {
    const reading = asReading(READING);
    expect(sampleOf(reading)).toEqual({ at: 1000, load: 20, memory: 12 * 2 ** 30, temperature: null, gpus: [{ busy: 91, memory: 2 ** 30, temperature: 66, power: 210.4 }] });
    expect(loadOf(asReading({ cpu: { cores_percent: null } }))).toBeNull();
    expect(sampleOf(asReading({ age_s: null, governor: null }))).toBeNull();
  });
});

describe("a daemon of another version", () => {
  it("breaks nothing by fields that are missing or of another kind", () => {
    for (const nonsense of [{}, { models: 3, devices: null, waiting: [null, 7], next_to_leave: "soon", in_host_memory: [{}] }]) {
      expect(() => asResidency(nonsense)).not.toThrow();
    }
    expect(asResidency({}).ashore).toEqual([]);
    expect(asKept({}).quota).toBe(0);
    expect(asElsewhere({ engines: [{}], chains: { a: "b" } }).chains).toEqual([{ name: "a", order: [] }]);
    expect(asReading({}).gpus).toEqual([]);
  });

  it("and memory is spoken of in the daemon's units", () => {
    expect([0, 1000, 2 ** 20, 1023.7 * 2 ** 20, 1.25 * 2 ** 30, 200 * 2 ** 30].map(formatMemory)).toEqual(["0 MiB", "< 1 MiB", "1 MiB", "1.0 GiB", "1.3 GiB", "200 GiB"]);
  });

  it("the way to the machine says what waits first", () => {
    const status = (models: number, waiting: number) => ({ models: Array.from({ length: models }), waiting }) as unknown as Status;
    expect([machineWords(null), machineWords(status(0, 0)), machineWords(status(2, 0)), machineWords(status(2, 3))]).toEqual(["", "", "2 in memory", "3 waiting"]);
  });
});
