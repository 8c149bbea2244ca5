/*
 * The machine's two streams: followed while it is looked at, made again when they break, never two of one.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Desk } from "../src/conversation/desk";
import { LiveConversation } from "../src/conversation/live";
import { Machine } from "../src/machine/machine";
import { toasts } from "../src/page/toasts";
import { READING, RESIDENCY, RESIDENT } from "./machine-samples";
import { errorAnswer, Feed, StandIn } from "./stand-in";

const AT = "/homefire/v1";
let daemon: StandIn;
let machine: Machine;
let feeds: Feed[];

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const count = (path: string): number => daemon.asked.filter((asked) => asked.path.startsWith(`${AT}${path}`)).length;
const entry = (number: number, kind = "loaded") => ({ number, at: 1, kind, model: "qwen", reason: "r", facts: {}, times: 1 });

beforeEach(() => {
  vi.useFakeTimers();
  feeds = [];
  daemon = new StandIn()
    .on(`GET ${AT}/events`, (_, signal) => {
      const feed = new Feed();
      feeds.push(feed);
      return feed.response(signal);
    })
    .on(`GET ${AT}/sensors/watch`, (_, signal) => new Feed().response(signal))
    .on(`GET ${AT}/decisions`, { decisions: [entry(1)] })
    .on(`GET ${AT}/kept`, { kept: [], bytes: 0, quota_bytes: 5 })
    .on(`GET ${AT}/engines`, { engines: [], chains: {} })
    .on(`GET ${AT}/restarts`, { restarts: [] })
    .on(`GET ${AT}/models`, { default: null, models: [] })
    .on(`GET ${AT}/status`, { models: [], waiting: 0 })
    .on("GET /healthz", { alive: true });
  machine = new Machine(new Desk());
});

afterEach(() => {
  machine.look(false);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("looking at the machine", () => {
  it("follows two streams, and asks for the rest once", async () => {
    machine.look(true);
    machine.look(true);
    await settled();
    expect([count("/events"), count("/sensors/watch"), count("/decisions"), count("/kept"), count("/engines")]).toEqual([1, 1, 1, 1, 1]);
    feeds[0]!.send("residency", RESIDENCY);
    await settled();
    expect(machine.heard.get()?.table.models.map(({ name }) => name)).toEqual(["qwen", "pilot"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([count("/events"), count("/decisions"), count("/kept")]).toEqual([1, 1, 1]);
    machine.look(false);
    await settled();
    expect(feeds[0]!.left).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count("/events")).toBe(1);
  });

  it("the log grows, and an entry that is told while it is fetched is in it once", async () => {
    machine.look(true);
    await settled();
    feeds[0]!.send("decision", entry(2, "evicted"));
    feeds[0]!.send("decision", { ...entry(2, "evicted"), times: 3 });
    await settled();
    expect(machine.decisions.get().map(({ number, times }) => [number, times])).toEqual([
      [2, 3],
      [1, 1],
    ]);
  });

  it("what has no events is asked for when a model has changed", async () => {
    machine.look(true);
    await settled();
    feeds[0]!.send("residency", RESIDENCY);
    feeds[0]!.send("residency", { ...RESIDENCY, models: [{ ...RESIDENT, leases: 4 }] });
    await settled();
    expect(machine.spoken.get()).toBe("pilot has left the memory.");
    await vi.advanceTimersByTimeAsync(5000);
    expect([count("/kept"), count("/engines"), count("/decisions")]).toEqual([2, 2, 1]);
  });

  it("a stream that ends is followed again, and the log is fetched anew", async () => {
    machine.look(true);
    await settled();
    feeds[0]!.end();
    await vi.advanceTimersByTimeAsync(1500);
    expect([count("/events"), count("/decisions")]).toEqual([2, 2]);
    daemon.on(`GET ${AT}/decisions`, { decisions: [] });
    feeds[1]!.end();
    await vi.advanceTimersByTimeAsync(1500);
    expect(machine.decisions.get()).toEqual([]);
  });

  it("a daemon that says no is not asked again and again", async () => {
    daemon.on(`GET ${AT}/events`, () => errorAnswer("missing_scope", "Not you.", "Ask somebody.", 403));
    machine.look(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count("/events")).toBe(1);
    expect(machine.refused.get()?.message).toBe("Not you.");
  });

  it("sensors come as they are, and their lines grow", async () => {
    const sensors = new Feed();
    daemon.on(`GET ${AT}/sensors/watch`, (_, signal) => sensors.response(signal));
    machine.look(true);
    await settled();
    sensors.send("sensors", READING);
    sensors.send("sensors", { ...READING, at: 1002 });
    await settled();
    expect(machine.history.get()).toHaveLength(2);
    expect(machine.reading.get()?.temperature).toBeNull();
  });
});

describe("what a person does", () => {
  it("asks once, and says what the daemon refused", async () => {
    daemon.on(`POST ${AT}/models/qwen/load`, () => errorAnswer("does_not_fit", "It needs 3 GiB.", "Unload another.", 507));
    const first = machine.load("qwen", { pin: true });
    expect(await machine.load("qwen")).toBe(false);
    expect(await first).toBe(false);
    expect(daemon.bodies(`POST ${AT}/models/qwen/load`)).toEqual([{ pin: true }]);
    expect(toasts.get().at(-1)).toMatchObject({ message: "It needs 3 GiB.", nextStep: "Unload another." });
    expect(machine.asking.get().size).toBe(0);
  });

  it("may break answers off while it waits for their end", async () => {
    let ended: (response: Response) => void = () => undefined;
    daemon.on(`POST ${AT}/models/qwen/unload`, ({ body }) =>
      (body as { now: boolean }).now ? Response.json({}) : new Promise<Response>((resolve) => (ended = resolve)),
    );
    const patient = machine.unload("qwen", false);
    expect(await machine.unload("qwen", true)).toBe(true);
    ended(Response.json({}));
    expect(await patient).toBe(true);
  });
});

describe("an answer that waits", () => {
  it("tells its place, then who answered for whom, and keeps that when it is done", async () => {
    const said = { id: "a", parent_id: null, role: "assistant", content: "", model: "smart", state: "streaming", error: null, created_at: 1, usage: null, timings: null };
    const stream = new Feed();
    daemon.on(`POST ${AT}/conversations/c/messages`, (_, signal) => stream.response(signal));
    const live = new LiveConversation("c", { onChange: () => undefined, onAnswer: () => undefined });
    vi.stubGlobal("requestAnimationFrame", () => 1);
    vi.stubGlobal("cancelAnimationFrame", () => undefined);
    const done = live.send({ content: "hi" }, {}, () => undefined);
    await settled();
    stream.send("message", said);
    stream.send("queue", { position: 2, eta_s: 12.5 });
    await settled();
    expect(live.view.get().queue).toMatchObject({ place: 2, eta: 12.5 });
    stream.send("answered_by", { name: "pilot", failed: [{ name: "vllm/m", code: "engine_unreachable" }] });
    stream.send("delta", { text: "Hi" });
    await settled();
    expect(live.view.get().queue).toBeNull();
    stream.send("done", { ...said, content: "Hi", state: "complete" });
    stream.end();
    await done;
    expect(live.view.get().messages.at(-1)?.answered_by?.name).toBe("pilot");
  });
});
