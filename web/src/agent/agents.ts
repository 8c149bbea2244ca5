/*
 * Agents as the page of that name knows them: the runs of this home, its tools and what they may, the timers, the memory.
 * Promises: asked for only while somebody looks; an older answer never overwrites a newer one. States: hidden -> watched -> hidden.
 * Does not cover: drawing; following one run (follower.ts); granting, which needs a key.
 */
import { Cell } from "../cell";
import { sayError } from "../page/toasts";
import { agentCalls, type Run, type Timer, type Tool } from "../wire/agent";
import type { ErrorBody } from "../wire/contract";
import { asErrorBody } from "../wire/request";
import { Memory } from "./memory";

const EACH_MS = 3000;

export class Agents {
  /** Null: nothing is known yet. */
  readonly runs = new Cell<readonly Run[] | null>(null);
  readonly tools = new Cell<readonly Tool[] | null>(null);
  readonly timers = new Cell<readonly Timer[]>([]);
  readonly refused = new Cell<ErrorBody | null>(null);
  readonly memory = new Memory();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watching = false;
  private asked = 0;

  look(watched: boolean): void {
    this.watching = watched;
    if (watched) void this.refresh();
    else this.stop();
  }

  stop(): void {
    this.watching = false;
    clearTimeout(this.timer);
    this.asked++;
  }

  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    const asked = ++this.asked;
    try {
      const [runs, tools, timers] = await Promise.all([agentCalls.runs(), agentCalls.tools(), agentCalls.timers()]);
      if (asked !== this.asked) return;
      this.runs.set(runs);
      this.tools.set(tools);
      this.timers.set(timers);
      this.refused.set(null);
    } catch (error) {
      if (asked !== this.asked) return;
      this.refused.set(asErrorBody(error));
    }
    if (this.watching) this.timer = setTimeout(() => void this.refresh(), EACH_MS);
  }

  stopRun = (id: string): Promise<void> => this.tell(() => agentCalls.stop(id));
  resumeRun = (id: string): Promise<void> => this.tell(() => agentCalls.resume(id));
  putAway = (timer: string): Promise<void> => this.tell(() => agentCalls.putAway(timer));
  removeRun = (id: string): Promise<void> => this.tell(() => agentCalls.remove(id));

  private async tell(call: () => Promise<unknown>): Promise<void> {
    try {
      await call();
    } catch (error) {
      sayError(asErrorBody(error));
    }
    await this.refresh();
  }
}
