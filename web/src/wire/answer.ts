/*
 * The events of one answer, out of the stream's named events.
 * Promises: an event with a name nobody knows, or with data that is not JSON, is passed over; nothing it holds is executed.
 * Does not cover: what the page does with them (see conversation/live.ts).
 */
import type { AnswerEvent, ErrorBody, Message } from "./contract";
import { readEvents, type StreamEvent } from "./event-stream";

export function asAnswerEvent(event: StreamEvent): AnswerEvent | null {
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    return null;
  }
  if (typeof data !== "object" || data === null) return null;
  switch (event.name) {
    case "message":
      return { kind: "message", message: data as Message };
    case "done":
      return { kind: "done", message: data as Message };
    case "notice":
    case "delta": {
      const text = (data as { text?: unknown }).text;
      return typeof text === "string" ? { kind: event.name, text } : null;
    }
    case "queue": {
      const { position, eta_s } = data as { position?: unknown; eta_s?: unknown };
      return typeof position === "number" ? { kind: "queue", place: position, eta: typeof eta_s === "number" ? eta_s : 0 } : null;
    }
    case "answered_by": {
      const { name, failed } = data as { name?: unknown; failed?: unknown };
      if (typeof name !== "string") return null;
      return { kind: "answered_by", by: { name, failed: Array.isArray(failed) ? (failed as { name: string; code: string }[]) : [] } };
    }
    case "error": {
      const error = (data as { error?: ErrorBody }).error ?? (data as ErrorBody);
      return { kind: "error", error };
    }
    default:
      return null;
  }
}

export async function* readAnswer(response: Response): AsyncGenerator<AnswerEvent, void> {
  if (!response.body) return;
  for await (const event of readEvents(response.body)) {
    const known = asAnswerEvent(event);
    if (known) yield known;
  }
}
