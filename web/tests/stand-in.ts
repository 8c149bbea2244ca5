/*
 * A stand-in for the daemon: answers what the page asks of it, and remembers what was asked.
 * Promises: a route that nobody set is a 404 in the daemon's own envelope. Does not cover: the daemon's rules.
 */
import { vi } from "vitest";

export interface Asked {
  method: string;
  path: string;
  body: unknown;
}

type Answer = Response | ((asked: Asked, signal: AbortSignal | null) => Response | Promise<Response>);

export class StandIn {
  readonly asked: Asked[] = [];
  private readonly answers = new Map<string, Answer>();

  constructor() {
    vi.stubGlobal("fetch", (path: string, init: RequestInit) => this.fetch(path, init));
  }

  on(route: string, answer: Answer | object): this {
    const given = answer instanceof Response || typeof answer === "function" ? (answer as Answer) : () => Response.json(answer);
    this.answers.set(route, given);
    return this;
  }

  /** The bodies of all requests to a route. */
  bodies(route: string): unknown[] {
    return this.asked.filter(({ method, path }) => `${method} ${path}` === route).map(({ body }) => body);
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    const asked = { method: init.method ?? "GET", path, body: init.body ? JSON.parse(String(init.body)) : undefined };
    this.asked.push(asked);
    const answer = this.answers.get(`${asked.method} ${path}`) ?? this.answers.get(`${asked.method} ${path.split("?")[0]}`);
    if (!answer) return Response.json({ error: { code: "unknown_route", message: `No ${path}.` } }, { status: 404 });
    return answer instanceof Response ? answer.clone() : answer(asked, init.signal ?? null);
  }
}

/** A stream of events that the test feeds; a reader that leaves is seen in `left`. */
export class Feed {
  left = false;
  private to!: ReadableStreamDefaultController<Uint8Array>;

  response(signal: AbortSignal | null): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (to) => void (this.to = to),
      cancel: () => void (this.left = true),
    });
    signal?.addEventListener("abort", () => {
      this.left = true;
      try {
        this.to.error(new DOMException("left", "AbortError"));
      } catch {
        // It had ended already.
      }
    });
    return new Response(body);
  }

  send(name: string, data: unknown): void {
    this.to.enqueue(new TextEncoder().encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`));
  }

  end(): void {
    this.to.close();
  }
}

export const errorAnswer = (code: string, message: string, nextStep: string, status = 400): Response =>
  Response.json({ error: { code, message, next_step: nextStep } }, { status });
