/*
 * What the models page does: getting, choosing, verifying, removing, and how each fails.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Desk } from "../src/conversation/desk";
import { Shelf } from "../src/models/shelf";
import { keepWanted, readWanted } from "../src/models/wanted";
import { dismiss, toasts } from "../src/page/toasts";
import { asDownload } from "../src/wire/models";
import { DOWNLOAD, PROPOSAL, ROW } from "./samples";
import { errorAnswer, Feed, StandIn } from "./stand-in";

const BASE = "/homefire/v1";
const PULL = `POST ${BASE}/models/pull`;
const ROLES = { main: "pilot", rlm: "pilot", memory: "pilot", embed: null };

let daemon: StandIn;
let shelf: Shelf;

const models = (...names: string[]): object => ({ default: "pilot", models: names.map((name) => ({ name })), roles: ROLES });
const said = (): string[] => toasts.get().map((toast) => [toast.message, toast.nextStep].filter(Boolean).join(" "));

beforeEach(async () => {
  daemon = new StandIn()
    .on(`GET ${BASE}/models`, models("pilot"))
    .on(`GET ${BASE}/catalogue`, { models: [ROW] })
    .on(`GET ${BASE}/proposal`, PROPOSAL)
    .on(`GET ${BASE}/downloads`, { downloads: [] });
  shelf = new Shelf(new Desk());
  await shelf.refresh();
});

afterEach(() => {
  shelf.transfers.stop();
  keepWanted({});
  for (const toast of toasts.get()) dismiss(toast.id);
  vi.unstubAllGlobals();
});

describe("opening the page", () => {
  it("asks nobody outside: the proposal is the offline one", () => {
    const asked = daemon.asked.map(({ path }) => path).filter((path) => path.includes("proposal"));
    expect(asked).toEqual([`${BASE}/proposal?offline=1`]);
  });

  it("does without a proposal", async () => {
    daemon.on(`GET ${BASE}/proposal`, errorAnswer("internal", "A defect.", "", 500));
    const other = new Shelf(new Desk());
    await other.refresh();
    expect(other.proposal.get()).toBeNull();
    expect(said()).toEqual([]);
  });
});

describe("pull", () => {
  it("asks without waiting, and the download stands in the list at once", async () => {
    daemon.on(PULL, () => Response.json(DOWNLOAD, { status: 202 })).on(`GET ${BASE}/downloads`, { downloads: [DOWNLOAD] });
    expect((await shelf.pull({ source: "qwen3-4b", quantization: "Q4_K_M" }))?.id).toBe(7);
    expect(daemon.bodies(PULL)).toEqual([{ source: "qwen3-4b", quantization: "Q4_K_M", watch: false }]);
    expect(shelf.transfers.list.get().map((one) => one.id)).toEqual([7]);
  });

  it("says why not, with the next step", async () => {
    daemon.on(PULL, errorAnswer("bad_source", "That names no source.", "Write hf:owner/repo."));
    expect(await shelf.pull({ source: "???" })).toBeNull();
    expect(said()).toEqual(["That names no source. Write hf:owner/repo."]);
    expect(shelf.asking.get().size).toBe(0);
  });

  it("is asked once, however often the button is pressed", async () => {
    daemon.on(PULL, () => Response.json(DOWNLOAD, { status: 202 }));
    await Promise.all([shelf.pull({ source: "a" }), shelf.pull({ source: "a" }), shelf.pull({ source: "b" })]);
    expect(daemon.bodies(PULL).map((body) => (body as { source: string }).source)).toEqual(["a", "b"]);
  });
});

describe("the proposal", () => {
  it("gets each model once, and gives the roles when the models are here", async () => {
    const names = new Map([["qwen3-4b", 7], ["all-minilm-l6-v2", 8]]);
    const coming = [...names].map(([target, id]) => ({ ...DOWNLOAD, id, target }));
    daemon
      .on(PULL, ({ body }) => Response.json(coming.find((one) => one.target === (body as { source: string }).source)))
      .on(`GET ${BASE}/downloads`, { downloads: coming })
      .on(`PUT ${BASE}/roles`, {});
    await shelf.propose();
    await shelf.takeProposal();
    expect(daemon.bodies(PULL)).toEqual([
      { source: "qwen3-4b", quantization: "Q4_K_M", watch: false },
      { source: "all-minilm-l6-v2", watch: false },
    ]);
    expect(readWanted()).toEqual({ main: "qwen3-4b", rlm: "qwen3-4b", embed: "all-minilm-l6-v2" });
    expect(daemon.bodies(`PUT ${BASE}/roles`), "memory has the pilot already").toEqual([]);

    daemon
      .on(`GET ${BASE}/models`, models("pilot", "qwen3-4b"))
      .on(`GET ${BASE}/downloads`, { downloads: [{ ...coming[0], state: "done" }, coming[1]] });
    await shelf.transfers.refresh();
    await vi.waitFor(() => expect(daemon.bodies(`PUT ${BASE}/roles`)).toEqual([{ main: "qwen3-4b", rlm: "qwen3-4b" }]));
    await vi.waitFor(() => expect(readWanted()).toEqual({ embed: "all-minilm-l6-v2" }));
    expect(said()).toContain("qwen3-4b is here.");
  });

  it("wants no role for a model that the daemon did not take", async () => {
    daemon.on(PULL, errorAnswer("quota", "There is no room.", "Remove a model.", 507)).on(`PUT ${BASE}/roles`, {});
    await shelf.propose();
    await shelf.takeProposal();
    expect(readWanted()).toEqual({});
    expect(said()).toContain("There is no room. Remove a model.");
  });

  it("keeps what was proposed when the page is opened again", async () => {
    await shelf.propose();
    await shelf.refresh();
    expect(daemon.asked.filter(({ path }) => path.includes("proposal"))).toHaveLength(2);
    expect(shelf.proposal.get()?.asked).toBe(true);
  });
});

describe("searching", () => {
  it("never shows an older answer over a newer one", async () => {
    let slow: (response: Response) => void = () => undefined;
    daemon.on(`GET ${BASE}/catalogue?q=first`, () => new Promise<Response>((resolve) => (slow = resolve)));
    daemon.on(`GET ${BASE}/catalogue?q=second&capability=code`, { models: [{ ...ROW, name: "second" }] });
    const first = shelf.search("first", "");
    await shelf.search("second", "code");
    slow(Response.json({ models: [{ ...ROW, name: "first" }] }));
    await first;
    expect(shelf.catalogue.get().rows.map((row) => row.name)).toEqual(["second"]);
    expect(shelf.catalogue.get().loading).toBe(false);
  });

  it("keeps the rows that are there when the daemon says no", async () => {
    daemon.on(`GET ${BASE}/catalogue`, errorAnswer("invalid_request", "There is no such capability.", ""));
    await shelf.search("", "juggling");
    expect(shelf.catalogue.get().error?.message).toBe("There is no such capability.");
    expect(shelf.catalogue.get().rows).toHaveLength(1);
  });
});

describe("what is foretold", () => {
  it("is asked once for each quantization, and a refusal is no report", async () => {
    daemon.on(`GET ${BASE}/models/qwen3-4b/fit`, { fits: "cpu", total_bytes: 9, why: "It fits.", speed: { low: 5, expected: 9, high: 12, ceiling: 40 } });
    const [one, two] = await Promise.all([shelf.report({ name: "qwen3-4b", context: 40_960 }, "Q4_K_M"), shelf.report({ name: "qwen3-4b", context: 40_960 }, "Q4_K_M")]);
    expect(one).toEqual({ fits: "cpu", needs: 9, why: "It fits.", speed: { low: 5, expected: 9, high: 12 } });
    expect(two).toBe(one);
    expect(await shelf.report({ name: "unknown", context: 512 }, "Q4_K_M")).toBeNull();
    expect(daemon.asked.filter(({ path }) => path.includes("/fit")).map(({ path }) => path)).toEqual([
      `${BASE}/models/qwen3-4b/fit?quantization=Q4_K_M&context=4096`,
      `${BASE}/models/unknown/fit?quantization=Q4_K_M&context=512`,
    ]);
  });

  it("is asked again when the page is opened again: less may be free", async () => {
    daemon.on(`GET ${BASE}/models/qwen3-4b/fit`, { fits: "cpu" });
    await shelf.report({ name: "qwen3-4b", context: 40_960 }, "Q4_K_M");
    await shelf.refresh();
    daemon.on(`GET ${BASE}/models/qwen3-4b/fit`, { fits: "tight" });
    expect((await shelf.report({ name: "qwen3-4b", context: 40_960 }, "Q4_K_M"))?.fits).toBe("tight");
  });
});

describe("verify", () => {
  const VERIFY = `POST ${BASE}/models/pilot/verify`;

  it("shows how far it is, and what is damaged", async () => {
    const feed = new Feed();
    daemon.on(VERIFY, (_, signal) => feed.response(signal));
    const work = shelf.verify("pilot");
    await vi.waitFor(() => expect(daemon.bodies(VERIFY)).toEqual([{}]));
    feed.send("progress", { done_bytes: 5, total_bytes: 10 });
    await vi.waitFor(() => expect(shelf.checks.get().get("pilot")).toEqual({ state: "running", done: 5, total: 10 }));
    feed.send("done", { ok: false, bad: ["model.gguf"], bytes: 10 });
    feed.end();
    await work;
    expect(shelf.checks.get().get("pilot")).toEqual({ state: "bad", files: ["model.gguf"] });
    expect(said()).toEqual(["pilot is damaged: model.gguf Remove it and get it again."]);
  });

  it("ends when the page is left, without a word", async () => {
    const feed = new Feed();
    daemon.on(VERIFY, (_, signal) => feed.response(signal));
    const work = shelf.verify("pilot");
    await vi.waitFor(() => expect(daemon.bodies(VERIFY)).toHaveLength(1));
    shelf.leaveChecks();
    await work;
    expect(feed.left).toBe(true);
    expect(shelf.checks.get().size).toBe(0);
    expect(said()).toEqual([]);
  });
});

describe("removing and pinning", () => {
  it("looks again at what is here", async () => {
    daemon.on(`DELETE ${BASE}/models/a%2Fb`, new Response(null, { status: 204 })).on(`GET ${BASE}/models`, models("pilot"));
    expect(await shelf.remove("a/b")).toBe(true);
    expect(said()).toEqual(["Removed a/b."]);
  });

  it("says what the daemon refuses", async () => {
    daemon.on(`DELETE ${BASE}/models/kept`, errorAnswer("model_pinned", "It is pinned.", "Unpin it first.", 409));
    expect(await shelf.remove("kept")).toBe(false);
    expect(said()).toEqual(["It is pinned. Unpin it first."]);
  });

  it("tells the daemon of a pin", async () => {
    daemon.on(`POST ${BASE}/models/pilot/pin`, {});
    await shelf.pin("pilot", true);
    expect(daemon.bodies(`POST ${BASE}/models/pilot/pin`)).toEqual([{ pinned: true }]);
  });
});

describe("a download", () => {
  it("is steered by its id", async () => {
    daemon.on(`POST ${BASE}/downloads/7/pause`, DOWNLOAD);
    expect(await shelf.steer(asDownload(DOWNLOAD), "pause")).toBe(true);
    expect(await shelf.steer(asDownload(DOWNLOAD), "resume"), "a route that is not there").toBe(false);
  });
});
