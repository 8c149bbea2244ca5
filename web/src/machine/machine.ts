/*
 * The machine as the page knows it: what is in memory, what was decided, how the hardware is; and what a person does about it.
 * Promises: two streams while the machine is looked at, none else; what has no events (kept caches, engines elsewhere, crashes)
 * is asked for when the streams say that it may have changed; whatever fails is said once, with its next step.
 * Does not cover: drawing; the list of installed models, which the desk holds.
 */
import { Cell } from "../cell";
import type { Desk } from "../conversation/desk";
import { sayError } from "../page/toasts";
import { returns } from "../session/connection";
import type { ErrorBody } from "../wire/contract";
import {
  asDecision,
  asReading,
  asResidency,
  machineCalls,
  type Crash,
  type Decision,
  type Elsewhere,
  type Kept,
  type Reading,
  type Residency,
} from "../wire/machine";
import type { Raw } from "../wire/models";
import { asErrorBody } from "../wire/request";
import { Follower } from "./follow";
import { sampleOf, withSample, type Sample } from "./history";
import { changeWords } from "./words";

const SENSOR_SECONDS = 2;
const DECISIONS = 200;
/** A KV cache is written three seconds after an answer; a refused engine is noted at once. One look serves both. */
const SETTLED_MS = 4000;

/** The table, and when it came (milliseconds of `performance.now`), for times that run down. */
export interface Heard {
  table: Residency;
  at: number;
}

export class Machine {
  readonly desk: Desk;
  readonly heard = new Cell<Heard | null>(null);
  /** Newest first. */
  readonly decisions = new Cell<readonly Decision[]>([]);
  readonly reading = new Cell<Reading | null>(null);
  readonly history = new Cell<readonly Sample[]>([]);
  readonly kept = new Cell<Kept | null>(null);
  readonly elsewhere = new Cell<Elsewhere | ErrorBody | null>(null);
  readonly crashes = new Cell<readonly Crash[]>([]);
  /** Why the daemon shows nothing of the machine. */
  readonly refused = new Cell<ErrorBody | null>(null);
  /** What changed last, for those who listen instead of looking. */
  readonly spoken = new Cell("");
  /** What was asked for and is not answered yet. */
  readonly asking = new Cell<ReadonlySet<string>>(new Set());
  private readonly events = new Follower({
    open: machineCalls.events,
    onOpen: () => void this.refresh(),
    onEvent: (name, data) => this.hear(name, data),
    onRefused: (error) => this.refused.set(error),
  });
  private readonly sensors = new Follower({
    open: (signal) => machineCalls.sensors(SENSOR_SECONDS, signal),
    onEvent: (name, data) => name === "sensors" && this.sense(data),
  });
  private settling: ReturnType<typeof setTimeout> | undefined;
  private rested: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;
  /** Entries that were heard since the log was asked for. */
  private fresh: Decision[] = [];

  constructor(desk: Desk) {
    this.desk = desk;
  }

  /** `watched`: the machine is looked at. */
  look(watched: boolean): void {
    if (watched) {
      this.events.follow();
      this.sensors.follow();
      return;
    }
    this.events.stop();
    this.sensors.stop();
    clearTimeout(this.settling);
    clearTimeout(this.rested);
  }

  async load(name: string, how: { keep_alive?: number; pin?: boolean } = {}): Promise<boolean> {
    return this.ask(name, () => machineCalls.load(name, how));
  }

  async unload(name: string, now: boolean): Promise<boolean> {
    // Under names of its own: neither a load nor a patient unload that is under way stands in its way.
    return this.ask(`${name} ${now ? "now" : "unload"}`, () => machineCalls.unload(name, now));
  }

  async clearKept(): Promise<boolean> {
    return this.ask("kept", async () => {
      await machineCalls.clearKept();
      await this.refreshKept();
    });
  }

  /** What the streams do not tell. The log is taken whole: entries may have been missed, or the daemon be another one. */
  private async refresh(): Promise<void> {
    this.refused.set(null);
    const asked = ++this.asked;
    this.fresh = [];
    void this.desk.refreshModels();
    await Promise.all([this.refreshRest(), this.refreshDecisions(asked)]);
  }

  private async refreshDecisions(asked: number): Promise<void> {
    try {
      const found = await machineCalls.decisions(DECISIONS);
      if (asked !== this.asked) return;
      const newest = found[0]?.number ?? 0;
      this.decisions.set(this.fresh.filter((entry) => entry.number >= newest).reduce(withDecision, found as readonly Decision[]));
    } catch {
      // Said by whoever follows: nobody answers, or the login ended.
    }
  }

  private async refreshRest(): Promise<void> {
    await Promise.all([this.refreshKept(), this.refreshElsewhere(), this.refreshCrashes()]);
  }

  private async refreshKept(): Promise<void> {
    try {
      this.kept.set(await machineCalls.kept());
    } catch {
      // What is shown stays.
    }
  }

  private async refreshElsewhere(): Promise<void> {
    try {
      const found = await machineCalls.elsewhere();
      this.elsewhere.set(found);
      const rest = Math.min(...found.engines.filter((engine) => engine.rest > 0).map((engine) => engine.rest));
      clearTimeout(this.rested);
      if (Number.isFinite(rest)) this.rested = setTimeout(() => void this.refreshElsewhere(), (rest + 0.5) * 1000);
    } catch (error) {
      this.elsewhere.set(asErrorBody(error));
    }
  }

  private async refreshCrashes(): Promise<void> {
    try {
      this.crashes.set(await machineCalls.crashes());
    } catch {
      // What is shown stays.
    }
  }

  private hear(name: string, data: Raw): void {
    if (name === "decision") {
      const entry = asDecision(data);
      this.fresh.push(entry);
      this.decisions.set(withDecision(this.decisions.get(), entry));
    }
    if (name !== "residency") return;
    const before = this.heard.get()?.table;
    const table = asResidency(data);
    this.heard.set({ table, at: performance.now() });
    if (!before || traits(before) === traits(table)) return;
    const words = changeWords(before, table);
    if (words !== "") this.spoken.set(words);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => void this.refreshRest(), SETTLED_MS);
  }

  private sense(data: Raw): void {
    const reading = asReading(data);
    this.reading.set(reading);
    const sample = sampleOf(reading);
    if (sample) this.history.set(withSample(this.history.get(), sample));
  }

  /** Does one thing at a time under a name. False: it failed, and that was said; or the same was under way. */
  private async ask(name: string, work: () => Promise<void>): Promise<boolean> {
    if (this.asking.get().has(name)) return false;
    const came = returns.get();
    this.asking.set(new Set([...this.asking.get(), name]));
    try {
      await work();
      return true;
    } catch (error) {
      // A daemon that went down meanwhile has its banner.
      if (came === returns.get()) sayError(asErrorBody(error));
      return false;
    } finally {
      this.asking.set(new Set([...this.asking.get()].filter((other) => other !== name)));
      void this.desk.refreshStatus();
    }
  }
}

/** The log with this entry: at its head, or in the place of the same one, which counts up. */
export function withDecision(list: readonly Decision[], entry: Decision): readonly Decision[] {
  return [entry, ...list.filter((other) => other.number !== entry.number)].slice(0, DECISIONS);
}

/** What, when it changes, may have changed kept caches, engines or crashes too. */
function traits({ models, waiting }: Residency): string {
  return JSON.stringify([models.map(({ name, state, leases, restarts }) => [name, state, leases, restarts]), waiting.length]);
}
