/*
 * How the page follows downloads: streams while it is looked at, ends told once, nothing stopped by leaving.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { endedBetween, toWatch, Transfers, withDownload } from "../src/models/transfers";
import { asDownload, type Download } from "../src/wire/models";
import { DOWNLOAD } from "./samples";
import { Feed, StandIn } from "./stand-in";

const LIST = "GET /homefire/v1/downloads";
const WATCH = "POST /homefire/v1/downloads/7/watch";

const download = (changes: object = {}): Download => asDownload({ ...DOWNLOAD, ...changes });

let daemon: StandIn;
let ended: Download[];
let transfers: Transfers;

const settle = (ms = 0): Promise<void> => vi.advanceTimersByTimeAsync(ms).then(() => undefined);

beforeEach(() => {
  vi.useFakeTimers();
  daemon = new StandIn();
  ended = [];
  transfers = new Transfers((one) => ended.push(one));
});

afterEach(() => {
  transfers.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("pure parts", () => {
  it("puts a download in its place, or at the end", () => {
    const list = [download(), download({ id: 8 })];
    expect(withDownload(list, download({ done_bytes: 5 })).map((one) => [one.id, one.done])).toEqual([[7, 5], [8, 1_200_000_000]]);
    expect(withDownload(list, download({ id: 9 })).map((one) => one.id)).toEqual([7, 8, 9]);
  });

  it("sees what ended between two looks, and nothing else", () => {
    const before = [download(), download({ id: 8 }), download({ id: 9, state: "failed" })];
    const now = [download({ state: "done" }), download({ id: 8 }), download({ id: 9, state: "failed" }), download({ id: 10, state: "done" })];
    expect(endedBetween(before, now).map((one) => one.id)).toEqual([7]);
  });

  it("gives a stream to what runs, two at most", () => {
    const list = [download(), download({ id: 8 }), download({ id: 9 }), download({ id: 10, state: "queued" })];
    expect(toWatch(list, new Set())).toEqual([7, 8]);
    expect(toWatch(list, new Set([7]))).toEqual([8]);
    expect(toWatch(list, new Set([1, 2, 3]))).toEqual([]);
  });
});

describe("watching", () => {
  it("shows each step of a stream and tells the end once", async () => {
    const feed = new Feed();
    daemon.on(LIST, { downloads: [DOWNLOAD] }).on(WATCH, (_, signal) => feed.response(signal));
    transfers.look(true);
    await settle();
    feed.send("progress", { ...DOWNLOAD, done_bytes: 3_000_000_000 });
    await settle();
    expect(transfers.list.get()[0]?.done).toBe(3_000_000_000);
    daemon.on(LIST, { downloads: [{ ...DOWNLOAD, state: "done" }] });
    feed.send("progress", { ...DOWNLOAD, state: "done", phase: "done" });
    feed.send("done", { download: {}, model: {} });
    feed.end();
    await settle(10_000);
    expect(ended.map((one) => one.state)).toEqual(["done"]);
  });

  it("leaves the stream with the page, stops nothing, and takes it up again", async () => {
    const feeds: Feed[] = [];
    daemon.on(LIST, { downloads: [DOWNLOAD] }).on(WATCH, (_, signal) => {
      const feed = new Feed();
      feeds.push(feed);
      return feed.response(signal);
    });
    transfers.look(true);
    await settle();
    transfers.look(false);
    await settle(60_000);
    expect(feeds.map((feed) => feed.left)).toEqual([true]);
    expect(daemon.asked.filter(({ path }) => /pause|cancel/.test(path))).toEqual([]);
    transfers.look(true);
    await settle();
    expect(feeds.map((feed) => feed.left)).toEqual([true, false]);
  });

  it("hears of an end while another room is looked at", async () => {
    daemon.on(LIST, { downloads: [DOWNLOAD] });
    transfers.look(false);
    await settle();
    daemon.on(LIST, { downloads: [{ ...DOWNLOAD, state: "done" }] });
    await settle(11_000);
    expect(ended.map((one) => one.id)).toEqual([7]);
    const asked = daemon.asked.length;
    await settle(60_000);
    expect(daemon.asked.length, "it goes on asking though nothing is under way").toBe(asked);
  });

  it("keeps the reason of a failure", async () => {
    const feed = new Feed();
    const error = { code: "no_space", message: "The disk is full.", next_step: "Remove a model." };
    daemon.on(LIST, { downloads: [DOWNLOAD] }).on(WATCH, (_, signal) => feed.response(signal));
    transfers.look(true);
    await settle();
    daemon.on(LIST, { downloads: [{ ...DOWNLOAD, state: "failed", error }] });
    feed.send("error", { error });
    feed.end();
    await settle();
    expect(transfers.list.get()[0]?.error).toEqual(error);
    await settle(10_000);
    expect(ended.map((one) => one.state)).toEqual(["failed"]);
  });

  it("does not hammer a daemon whose streams end at once", async () => {
    daemon.on(LIST, { downloads: [DOWNLOAD] }).on(WATCH, () => new Response(""));
    transfers.look(true);
    await settle(3000);
    expect(daemon.bodies(WATCH).length).toBeLessThan(15);
    daemon.on(WATCH, Response.json({}, { status: 500 }));
    daemon.asked.length = 0;
    await settle(10_000);
    expect(daemon.bodies(WATCH).length).toBeLessThan(6);
  });

  it("does not take a list that is older than what a stream said", async () => {
    const feed = new Feed();
    let answer: (response: Response) => void = () => undefined;
    daemon.on(LIST, { downloads: [DOWNLOAD] }).on(WATCH, (_, signal) => feed.response(signal));
    transfers.look(true);
    await settle();
    daemon.on(LIST, () => new Promise<Response>((resolve) => (answer = resolve)));
    void transfers.refresh();
    feed.send("progress", { ...DOWNLOAD, state: "done" });
    await settle();
    answer(Response.json({ downloads: [DOWNLOAD] }));
    await settle();
    expect(transfers.list.get()[0]?.state).toBe("done");
  });
});
