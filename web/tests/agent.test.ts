/*
 * Agents behind the page: the reducer of steps, one run followed over streams that break, decisions, a task in a conversation.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RunFollower } from "../src/agent/follower";
import { argumentLines, NOTHING_YET, waiting, withStep, type CallRow } from "../src/agent/steps";
import { callWords, COMMANDS, reachWords, runWords, stateWords } from "../src/agent/words";
import { Desk } from "../src/conversation/desk";
import { runUnderWay } from "../src/conversation/live";
import { forget } from "../src/kept";
import { agentsWords } from "../src/sidebar/agents-link";
import { asRun, asStep, asTool } from "../src/wire/agent";
import { ASKING, RUN, STEPS, TOOL } from "./agent-samples";
import { errorAnswer, Feed, StandIn } from "./stand-in";

const RUNS = "/homefire/v1/agent/runs";
const viewOf = (steps: readonly unknown[]) => steps.map((step) => asStep(step as Record<string, unknown>)).reduce(withStep, NOTHING_YET);
const until = (holds: () => boolean): Promise<void> => vi.waitFor(() => expect(holds()).toBe(true), { timeout: 3000 });

describe("steps", () => {
  it("of one call are one row, with all that came of it", () => {
    const view = viewOf(STEPS);
    expect(view.rows.map((row) => row.kind)).toEqual(["ordered", "thought", "call"]);
    const call = view.rows[2] as CallRow;
    expect(call).toMatchObject({ tool: "calculate", begun: true, returned: { status: "ok", text: "391" } });
    expect(view).toMatchObject({ next: 7, tokens: 39, ended: { why: "answered" } });
    expect(runWords(view)).toBe("1 call · 39 tokens · 4.0 s");
  });

  it("that are known change nothing, and those that nobody knows are passed over", () => {
    const view = viewOf(STEPS);
    expect(STEPS.map((step) => asStep(step)).reduce(withStep, view)).toBe(view);
    expect(withStep(view, asStep({ n: 7, at: 1, kind: "danced" })).rows).toBe(view.rows);
    expect(withStep(NOTHING_YET, asStep({ n: 0, at: 1, kind: "returned", call: "never called" })).rows).toEqual([]);
  });

  it("say what waits for a person, until there is a word", () => {
    const view = viewOf(ASKING);
    expect(waiting(view).map((row) => row.call)).toEqual(["k1"]);
    expect(callWords(view.rows[1] as CallRow)).toBe("waits for you");
    const said = withStep(view, asStep({ n: 3, at: 1, kind: "decided", call: "k1", yes: false, text: "" }));
    expect(waiting(said)).toEqual([]);
    expect(callWords(said.rows[1] as CallRow)).toBe("you said no");
    expect(waiting(withStep(said, asStep({ n: 4, at: 1, kind: "asked", call: "k1", approval: "a2" }))), "put anew").toHaveLength(1);
    expect(waiting(withStep(view, asStep({ n: 3, at: 1, kind: "ended", why: "stopped" })))).toEqual([]);
  });

  it("that failed or are not known say so", () => {
    const returned = (status: string, code: string): string => {
      const view = viewOf([...STEPS.slice(0, 4), { ...STEPS[4], status, code }]);
      return callWords(view.rows[2] as CallRow);
    };
    expect(returned("error", "tool_timeout")).toBe("failed (tool timeout), 0.50 s");
    expect(returned("empty", "")).toBe("nothing there, 0.50 s");
    expect(returned("unknown", "effect_unknown")).toContain("not known whether it was done");
  });

  it("have arguments that need not be JSON", () => {
    expect(argumentLines('{"path": "a", "lines": 3}')).toEqual([["path", "a"], ["lines", "3"]]);
    expect(argumentLines("{broken")).toEqual([["", "{broken"]]);
    expect(argumentLines("[1]")).toEqual([["", "[1]"]]);
    expect(argumentLines("")).toEqual([]);
  });
});

describe("a run that is followed", () => {
  let daemon: StandIn;
  beforeEach(() => {
    daemon = new StandIn();
  });

  it("is taken up again where its stream broke", async () => {
    const feeds: Feed[] = [];
    daemon.on(`GET ${RUNS}/r1/steps`, (_, signal) => {
      feeds.push(new Feed());
      return feeds.at(-1)!.response(signal);
    });
    const ended = vi.fn();
    const follower = new RunFollower("r1", ended, () => undefined);
    follower.follow();
    follower.follow();
    await until(() => feeds.length === 1);
    feeds[0]!.send("step", STEPS[0]);
    feeds[0]!.send("piece", { text: "I will" });
    await until(() => follower.piece.get() === "I will");
    feeds[0]!.send("step", STEPS[1]);
    await until(() => follower.view.get().next === 2);
    expect(follower.piece.get()).toBe("");
    feeds[0]!.end();
    await until(() => feeds.length === 2);
    expect(daemon.asked.at(-1)?.path).toBe(`${RUNS}/r1/steps?from=2`);
    for (const step of STEPS.slice(1)) feeds[1]!.send("step", step);
    feeds[1]!.send("done", { ...RUN, state: "ended", ending: "answered" });
    feeds[1]!.end();
    await until(() => ended.mock.calls.length === 1);
    expect(follower.view.get()).toEqual(viewOf(STEPS));
    expect(follower.run.get()?.state).toBe("ended");
  });

  it("is left without being stopped", async () => {
    const feed = new Feed();
    daemon.on(`GET ${RUNS}/r1/steps`, (_, signal) => feed.response(signal));
    const follower = new RunFollower("r1", () => undefined, () => undefined);
    follower.follow();
    await until(() => daemon.asked.length === 1);
    follower.leave();
    await until(() => feed.left);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(daemon.asked.map(({ method }) => method)).toEqual(["GET"]);
  });

  it("that is gone says so, and is not asked for again", async () => {
    daemon.on(`GET ${RUNS}/r1/steps`, errorAnswer("unknown_run", "There is no run r1.", "See the runs.", 404));
    const ended = vi.fn();
    const follower = new RunFollower("r1", ended, () => undefined);
    follower.follow();
    await until(() => follower.error.get()?.code === "unknown_run");
    expect(ended).toHaveBeenCalledWith(null);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(daemon.asked).toHaveLength(1);
  });

  it("says aloud what it asks, and is told once", async () => {
    const feed = new Feed();
    daemon.on(`GET ${RUNS}/r1/steps`, (_, signal) => feed.response(signal));
    daemon.on(`POST ${RUNS}/r1/decide`, RUN);
    const heard: string[] = [];
    const follower = new RunFollower("r1", () => undefined, (words) => heard.push(words));
    follower.follow();
    await until(() => daemon.asked.length === 1);
    for (const step of ASKING) feed.send("step", step);
    await until(() => heard.length === 1);
    expect(heard[0]).toBe("Homefire asks for leave: write_file. The grant asks every time.");
    await Promise.all([follower.decide("k1", true), follower.decide("k1", true)]);
    expect(daemon.bodies(`POST ${RUNS}/r1/decide`)).toEqual([{ call: "k1", yes: true, text: "" }]);
    follower.leave();
  });

  it("can be decided about again if the daemon did not take it", async () => {
    daemon.on(`POST ${RUNS}/r1/decide`, errorAnswer("key_needed", "This needs a key.", "Use the command line.", 403));
    const follower = new RunFollower("r1", () => undefined, () => undefined);
    await follower.decide("k1", true);
    expect(follower.telling.get().size).toBe(0);
  });

  it("that is over is fetched page by page", async () => {
    daemon.on(`GET ${RUNS}/r1/steps?from=0`, { run: RUN, steps: STEPS.slice(0, 3), more: true });
    daemon.on(`GET ${RUNS}/r1/steps?from=3`, { run: RUN, steps: STEPS.slice(3), more: false });
    const follower = new RunFollower("r1", () => undefined, () => undefined);
    await follower.look();
    expect(follower.view.get()).toEqual(viewOf(STEPS));
  });
});

describe("a task in a conversation", () => {
  let daemon: StandIn;
  const question = { id: "m1", parent_id: null, role: "user", content: "add 17 and 23", state: "complete", error: null, created_at: 1, usage: null, timings: null };
  const answer = { ...question, id: "m2", parent_id: "m1", role: "assistant", content: "", state: "streaming", run: "r1" };
  const conversation = { id: "c1", title: "add", model: null, system: null, created_at: 1, updated_at: 1, notice: null, messages: [] as object[] };
  beforeEach(() => {
    daemon = new StandIn();
    vi.stubGlobal("localStorage", undefined);
    forget("c1");
    vi.stubGlobal("history", { pushState: () => undefined, replaceState: () => undefined });
    daemon.on("GET /homefire/v1/conversations", { conversations: [], more: false });
  });
  afterEach(() => vi.unstubAllGlobals());

  it("is sent to an agent where the switch is on, and its answer is found again", async () => {
    daemon.on("POST /homefire/v1/conversations", conversation);
    daemon.on(`POST ${RUNS}`, { ...RUN, messages: [question, answer] });
    const desk = new Desk();
    desk.setActs(true);
    await desk.send(null, "add 17 and 23");
    expect(daemon.bodies(`POST ${RUNS}`)).toEqual([{ task: "add 17 and 23", conversation: "c1" }]);
    const live = desk.at("c1");
    expect(live.view.get().messages.map(({ id }) => id)).toEqual(["m1", "m2"]);
    expect(runUnderWay(live.view.get())).toBe("r1");
    daemon.on(`POST ${RUNS}/r1/say`, RUN);
    await desk.tell(live, "r1", "and quickly");
    expect(daemon.bodies(`POST ${RUNS}/r1/say`)).toEqual([{ text: "and quickly" }]);
    daemon.on(`POST ${RUNS}/r1/say`, errorAnswer("policy_refused", "Refused.", "Say it otherwise.", 403));
    await desk.tell(live, "r1", "and badly");
    expect(desk.returned.get()).toEqual({ id: "c1", text: "and badly" });
    daemon.on(`POST ${RUNS}/r1/stop`, { ...RUN, state: "ended", ending: "stopped" });
    desk.stop(live);
    await until(() => daemon.bodies(`POST ${RUNS}/r1/stop`).length === 1);
    daemon.on("GET /homefire/v1/conversations/c1", { ...conversation, messages: [question, { ...answer, state: "complete", content: "It is 391." }] });
    await live.settled();
    expect(runUnderWay(live.view.get())).toBeNull();
    daemon.on(`POST ${RUNS}`, { ...RUN, id: "r2", messages: [{ ...answer, id: "m3", run: "r2" }] });
    desk.setActs(false);
    await desk.regenerate(live, "m2");
    expect(daemon.bodies(`POST ${RUNS}`).at(-1)).toEqual({ again: "m2", conversation: "c1" });
    expect(runUnderWay(live.view.get())).toBe("r2");
  });

  it("that could not be begun goes back into the field, unless the daemon had taken it", async () => {
    daemon.on("POST /homefire/v1/conversations", conversation);
    daemon.on("GET /homefire/v1/conversations/c1", conversation);
    daemon.on(`POST ${RUNS}`, errorAnswer("policy_refused", "Refused.", "Say it otherwise.", 403));
    const desk = new Desk();
    desk.setActs(true);
    await desk.send(null, "do evil");
    expect(desk.returned.get()).toEqual({ id: "c1", text: "do evil" });
    expect(desk.at("c1").view.get().messages).toEqual([]);
    desk.returned.set(null);
    daemon.on("GET /homefire/v1/conversations/c1", { ...conversation, messages: [question, { ...answer, state: "failed", run: null }] });
    await desk.send("c1", "add 17 and 23");
    expect(desk.returned.get()).toBeNull();
    expect(desk.at("c1").view.get().messages).toHaveLength(2);
  });
});

describe("words", () => {
  it("of a tool say what it reaches and how that changes", () => {
    expect(reachWords(asTool(TOOL))).toBe("Reaches its own folder and /home/me/notes.");
    expect(reachWords(asTool({ ...TOOL, grant: null, granted: false }))).toBe("");
    expect(COMMANDS.allow(asTool(TOOL))).toBe("homefire tools allow write_file --folder FOLDER");
    expect(COMMANDS.deny(asTool(TOOL))).toBe("homefire tools deny write_file");
  });

  it("of runs say who waits", () => {
    const runs = ["running", "waiting", "ended"].map((state) => asRun({ ...RUN, state, ending: state === "ended" ? "budget" : "" }));
    expect(runs.map(stateWords)).toEqual(["Running", "Waits for you", "Its budget is spent"]);
    expect(agentsWords(runs)).toBe("1 waits");
    expect(agentsWords(runs.slice(0, 1))).toBe("1 running");
    expect(agentsWords(null)).toBe("");
  });
});
