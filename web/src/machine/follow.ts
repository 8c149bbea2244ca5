/*
 * A stream of events that is followed for as long as somebody looks.
 * Promises: one connection at a time; one that ends or breaks is opened again, after a pause, and not before the daemon answers
 * (`connection`); a daemon that says no is asked again only where that may change. States: still -> following -> still, as often
 * as one likes. Does not cover: what the events mean.
 */
import { connection, doubt } from "../session/connection";
import type { ErrorBody } from "../wire/contract";
import { readWork, type Raw } from "../wire/models";
import { ApiError, asErrorBody } from "../wire/request";

const PAUSE_MS = 1000;

interface How {
  open: (signal: AbortSignal) => Promise<Response>;
  /** A connection was made: what was missed before it can be asked for now. */
  onOpen?: () => void;
  onEvent: (name: string, data: Raw) => void;
  onRefused?: (error: ErrorBody) => void;
}

export class Follower {
  private readonly how: How;
  private leave: AbortController | null = null;

  constructor(how: How) {
    this.how = how;
  }

  follow(): void {
    if (this.leave) return;
    this.leave = new AbortController();
    void this.run(this.leave.signal);
  }

  stop(): void {
    this.leave?.abort();
    this.leave = null;
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const response = await this.how.open(signal);
        this.how.onOpen?.();
        for await (const { name, data } of readWork(response)) {
          if (signal.aborted) return;
          this.how.onEvent(name, data);
        }
        void doubt();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError) {
          this.how.onRefused?.(asErrorBody(error));
          // Not logged in, not allowed, no such route: asking again changes nothing.
          if (error.status < 500) return;
        } else void doubt();
      }
      await pause(signal);
    }
  }
}

/** A moment, and then until the daemon is there. */
async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  while (connection.get() === "gone" && !signal.aborted) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stop();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const stop = connection.watch(done);
      signal.addEventListener("abort", done);
    });
  }
}
