/*
 * One run as the page follows it: its steps, what the model is writing, what waits for a person.
 * Promises: `follow` keeps one stream at a time and takes it up again where it broke, until the run has ended; leaving never ends
 * the run; what was decided here is not offered again while the daemon is told. States: known -> followed -> known, any number of
 * times. Does not cover: drawing, and what becomes of the conversation (`ended` is told).
 */
import { Cell } from "../cell";
import { sayError } from "../page/toasts";
import { agentCalls, asRun, asStep, type Run } from "../wire/agent";
import type { ErrorBody } from "../wire/contract";
import { errorIn, readWork } from "../wire/models";
import { ApiError, asErrorBody, isAbort } from "../wire/request";
import { NOTHING_YET, waiting, withStep, type RunView } from "./steps";

/** Pauses before a broken stream is taken up again. */
const AGAIN_MS = [300, 1000, 2500, 5000];

export class RunFollower {
  readonly id: string;
  readonly view = new Cell<RunView>(NOTHING_YET);
  readonly run = new Cell<Run | null>(null);
  /** What the model is writing now. */
  readonly piece = new Cell("");
  /** Why its steps cannot be shown. */
  readonly error = new Cell<ErrorBody | null>(null);
  /** Calls about which the daemon is being told. */
  readonly telling = new Cell<ReadonlySet<string>>(new Set());
  private following: AbortController | null = null;
  private readonly ended: (run: Run | null) => void;
  private readonly asks: (words: string) => void;

  /** `ended` is told once the run has; `asks` hears what a person has to decide, for those who listen instead of looking. */
  constructor(id: string, ended: (run: Run | null) => void, asks: (words: string) => void) {
    this.id = id;
    this.ended = ended;
    this.asks = asks;
  }

  /** Follows it to its end, or until `leave`. */
  follow(): void {
    if (this.following) return;
    const leave = new AbortController();
    this.following = leave;
    void this.keepFollowing(leave).finally(() => {
      if (this.following === leave) this.following = null;
    });
  }

  leave(): void {
    this.following?.abort();
    this.following = null;
  }

  private async keepFollowing(leave: AbortController): Promise<void> {
    for (let tries = 0; !leave.signal.aborted; tries++) {
      const before = this.view.get().next;
      try {
        if (await this.listen(leave)) return;
      } catch (error) {
        if (isAbort(error) || leave.signal.aborted) return;
        if (error instanceof ApiError) {
          this.error.set(error.body);
          this.ended(null);
          return;
        }
        // Broken or unreachable: the run goes on, or comes back with the daemon.
      }
      if (this.view.get().next > before) tries = 0;
      await pause(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)] ?? 0, leave.signal);
    }
  }

  /** One stream; true if the run is over. */
  private async listen(leave: AbortController): Promise<boolean> {
    const response = await agentCalls.follow(this.id, this.view.get().next, leave.signal);
    this.error.set(null);
    for await (const { name, data } of readWork(response)) {
      if (leave.signal.aborted) return true;
      if (name === "step") this.take(asStep(data));
      else if (name === "piece") this.piece.set(this.piece.get() + String(data["text"] ?? ""));
      else if (name === "error") {
        this.error.set(errorIn(data));
        this.ended(null);
        return true;
      } else if (name === "done") {
        const run = asRun(data);
        this.piece.set("");
        this.run.set(run);
        this.ended(run);
        return true;
      }
    }
    return false;
  }

  private take(step: ReturnType<typeof asStep>): void {
    if (step.kind !== "begun") this.piece.set("");
    this.view.set(withStep(this.view.get(), step));
    if (step.kind !== "asked") return;
    const open = waiting(this.view.get()).at(-1);
    if (open?.asked) this.asks(open.asked.approval ? `Homefire asks for leave: ${open.tool}. ${open.asked.reason}` : `Homefire asks: ${open.asked.shown}`);
  }

  /** Fetches the steps that are stored, for a run that is over. */
  async look(): Promise<void> {
    try {
      for (let more = true; more && !this.following; ) {
        const found = await agentCalls.steps(this.id, this.view.get().next);
        this.view.set(found.steps.reduce(withStep, this.view.get()));
        this.run.set(found.run);
        this.error.set(null);
        more = found.more;
      }
    } catch (error) {
      this.error.set(asErrorBody(error));
    }
  }

  async decide(call: string, yes: boolean, text = ""): Promise<void> {
    if (this.telling.get().has(call)) return;
    this.telling.set(new Set(this.telling.get()).add(call));
    try {
      this.run.set(await agentCalls.decide(this.id, call, yes, text));
    } catch (error) {
      sayError(asErrorBody(error));
      this.telling.set(new Set([...this.telling.get()].filter((each) => each !== call)));
    }
  }

  /** Tells it something more; true if the daemon took it. */
  say(text: string): Promise<boolean> {
    return this.tell(() => agentCalls.say(this.id, text));
  }

  async stop(): Promise<void> {
    await this.tell(() => agentCalls.stop(this.id));
  }

  /** Goes on after an interruption; true if the daemon does. */
  async resume(): Promise<boolean> {
    if (!(await this.tell(() => agentCalls.resume(this.id)))) return false;
    this.view.set({ ...this.view.get(), ended: null });
    this.follow();
    return true;
  }

  private async tell(call: () => Promise<Run>): Promise<boolean> {
    try {
      this.run.set(await call());
      return true;
    } catch (error) {
      sayError(asErrorBody(error));
      return false;
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
