/*
 * Reads `text/event-stream` from the body of a fetch (EventSource cannot POST).
 * Promises: chunks may be cut anywhere, inside a character or a line end; events come out whole and in order; comments and
 * `id`/`retry` fields are passed over; an event that the stream's end cut off is dropped, as the standard says.
 * Does not cover: reconnecting (an answer is never asked for twice) and what the events mean (see answer.ts).
 */

export interface StreamEvent {
  name: string;
  data: string;
}

export class EventStreamParser {
  private rest = "";
  private name = "";
  private data: string[] = [];

  /** Takes the next piece of text and gives the events that it completes. */
  push(piece: string): StreamEvent[] {
    const found: StreamEvent[] = [];
    let text = this.rest + piece;
    // A carriage return at the very end may be the first half of CR LF: wait for what follows.
    let held = "";
    if (text.endsWith("\r")) {
      held = "\r";
      text = text.slice(0, -1);
    }
    const lines = text.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const event = this.line(line);
      if (event) found.push(event);
    }
    return found;
  }

  private line(line: string): StreamEvent | null {
    if (line === "") {
      const event = this.data.length > 0 ? { name: this.name || "message", data: this.data.join("\n") } : null;
      this.name = "";
      this.data = [];
      return event;
    }
    if (line.startsWith(":")) return null;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.name = value;
    else if (field === "data") this.data.push(value);
    return null;
  }
}

/** The events of a body, until it ends. Breaking off the loop closes the connection. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventStreamParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // The connection may be gone already; there is nothing to be told then.
    reader.cancel().catch(() => undefined);
  }
}
