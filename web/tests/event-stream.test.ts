/*
 * The stream's reading: whatever the network cuts, the same events come out.
 */
import { describe, expect, it } from "vitest";
import { asAnswerEvent } from "../src/wire/answer";
import { EventStreamParser, readEvents, type StreamEvent } from "../src/wire/event-stream";

const parse = (...pieces: string[]): StreamEvent[] => {
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

const body = (bytes: Uint8Array, size: number): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });

const collect = async (stream: ReadableStream<Uint8Array>): Promise<StreamEvent[]> => {
  const events: StreamEvent[] = [];
  for await (const event of readEvents(stream)) events.push(event);
  return events;
};

describe("EventStreamParser", () => {
  it("reads a name and its data", () => {
    expect(parse('event: delta\ndata: {"text":"a"}\n\n')).toEqual([{ name: "delta", data: '{"text":"a"}' }]);
  });

  it("calls an event without a name `message`", () => {
    expect(parse("data: x\n\n")).toEqual([{ name: "message", data: "x" }]);
  });

  it("joins several lines of data and takes one space away, no more", () => {
    expect(parse("data:a\ndata:  b\n\n")).toEqual([{ name: "message", data: "a\n b" }]);
  });

  it("passes over comments, ids and empty events", () => {
    expect(parse(": still here\n\nid: 7\n\nevent: nothing\n\ndata: x\n\n")).toEqual([{ name: "message", data: "x" }]);
  });

  it("does not carry a name over to the next event", () => {
    expect(parse("event: a\ndata: 1\n\ndata: 2\n\n").map((event) => event.name)).toEqual(["a", "message"]);
  });

  it("drops what the end cut off", () => {
    expect(parse("data: whole\n\ndata: half\n")).toEqual([{ name: "message", data: "whole" }]);
  });

  it.each(["\n", "\r\n", "\r"])("gives the same, cut at every place, with line ends %j", (end) => {
    const text = ["event: delta", 'data: {"text":"x"}', "", "event: done", "data: {}", "", ""].join(end) + ":" + end;
    const whole = parse(text);
    expect(whole).toHaveLength(2);
    for (let at = 1; at < text.length; at++) expect(parse(text.slice(0, at), text.slice(at))).toEqual(whole);
    expect(parse(...text)).toEqual(whole);
  });
});

describe("readEvents", () => {
  it("puts characters together that came in pieces", async () => {
    const bytes = new TextEncoder().encode('event: delta\ndata: {"text":"Käse 火 🔥"}\n\n');
    for (const size of [1, 2, 3, 7]) {
      expect(await collect(body(bytes, size))).toEqual([{ name: "delta", data: '{"text":"Käse 火 🔥"}' }]);
    }
  });
});

describe("asAnswerEvent", () => {
  it("knows the contract's events", () => {
    expect(asAnswerEvent({ name: "delta", data: '{"text":"a"}' })).toEqual({ kind: "delta", text: "a" });
    expect(asAnswerEvent({ name: "notice", data: '{"text":"n"}' })).toEqual({ kind: "notice", text: "n" });
    expect(asAnswerEvent({ name: "done", data: '{"id":"1"}' })).toEqual({ kind: "done", message: { id: "1" } });
  });

  it("takes the error out of its envelope", () => {
    const error = { message: "m", code: "c" };
    expect(asAnswerEvent({ name: "error", data: JSON.stringify({ error }) })).toEqual({ kind: "error", error });
    expect(asAnswerEvent({ name: "error", data: JSON.stringify(error) })).toEqual({ kind: "error", error });
  });

  it("passes over what it does not know", () => {
    expect(asAnswerEvent({ name: "surprise", data: "{}" })).toBeNull();
    expect(asAnswerEvent({ name: "delta", data: "not json" })).toBeNull();
    expect(asAnswerEvent({ name: "delta", data: '{"text":7}' })).toBeNull();
    expect(asAnswerEvent({ name: "delta", data: "null" })).toBeNull();
  });
});
