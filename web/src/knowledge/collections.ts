/*
 * The collections as the page knows them: a list from the daemon, the run under way from its stream, checks, what was left out.
 * Promises: a list and at most one stream are asked for, and only while somebody looks, or while a run is known of; leaving the
 * page ends no run; an older answer never overwrites a newer one. States: hidden -> watched -> hidden, as often as one likes.
 * Does not cover: drawing; changing anything, which needs a key (wire/knowledge.ts).
 */
import { Cell } from "../cell";
import { say, sayError } from "../page/toasts";
import type { ErrorBody } from "../wire/contract";
import { asChecked, asRun, knowledgeCalls, type Checked, type Collection, type Left, type Listed, type Run } from "../wire/knowledge";
import { errorIn, readWork } from "../wire/models";
import { asErrorBody, isAbort } from "../wire/request";

const EACH_MS = 2500;
/** While another room is looked at, only whether a run ended is of interest. */
const EACH_AWAY_MS = 10_000;
const SOON_MS = 300;
const PAGE = 100;

export const isUnderWay = (run: Run | null): boolean => run !== null && ["waiting", "running", "cancelling"].includes(run.state);

export type Check = { state: "running"; done: number; total: number } | ({ state: "ended" } & Checked);

/** Documents of one collection in one state, as far as they were asked for. */
export interface Page {
  documents: readonly Listed[];
  next: string | null;
  loading: boolean;
  error: ErrorBody | null;
}

export class Collections {
  /** Null: nothing is known yet. */
  readonly list = new Cell<readonly Collection[] | null>(null);
  /** Why there is no list. */
  readonly refused = new Cell<ErrorBody | null>(null);
  readonly checks = new Cell<ReadonlyMap<string, Check>>(new Map());
  /** By `name state`. */
  readonly pages = new Cell<ReadonlyMap<string, Page>>(new Map());
  /** What changed last, for those who listen instead of looking. */
  readonly spoken = new Cell("");
  private readonly checking = new Map<string, AbortController>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watching = false;
  private asked = 0;
  private following: { name: string; leave: AbortController } | null = null;

  look(watched: boolean): void {
    this.watching = watched;
    if (!watched) this.leave();
    void this.refresh();
  }

  /** Nothing is asked any more, until the next `look`. */
  stop(): void {
    this.watching = false;
    clearTimeout(this.timer);
    this.leave();
    this.asked++;
    for (const check of this.checking.values()) check.abort();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    const asked = ++this.asked;
    try {
      const list = await knowledgeCalls.list();
      if (asked !== this.asked) return;
      this.refused.set(null);
      this.take(list);
    } catch (error) {
      if (asked !== this.asked) return;
      this.refused.set(asErrorBody(error));
    }
    const active = this.list.get()?.some((each) => isUnderWay(each.run)) ?? false;
    if (this.watching || active) this.timer = setTimeout(() => void this.refresh(), this.watching ? EACH_MS : EACH_AWAY_MS);
  }

  private take(list: readonly Collection[]): void {
    const before = this.list.get();
    this.list.set(list);
    for (const each of list) {
      const known = before?.find((other) => other.name === each.name);
      if (!known || !isUnderWay(known.run) || isUnderWay(each.run)) continue;
      this.forgetPages(each.name);
      const word = each.run?.state === "failed" ? "could not be taken in to its end" : each.run?.state === "cancelled" ? "was cancelled" : "is taken in";
      this.spoken.set(`${each.name} ${word}.`);
    }
    const running = list.find((each) => each.run?.state === "running" || each.run?.state === "cancelling")?.name;
    if (this.watching && running !== undefined && this.following === null) void this.follow(running);
  }

  /** The list says every few seconds how a run goes; its stream says it five times a second. */
  private async follow(name: string): Promise<void> {
    const leave = new AbortController();
    this.following = { name, leave };
    let ended = false;
    try {
      for await (const { name: event, data } of readWork(await knowledgeCalls.follow(name, leave.signal))) {
        if (leave.signal.aborted) return;
        if (event === "progress") this.put(asRun(data));
      }
      ended = true;
    } catch {
      // Left, or broken; the list, which is asked for again anyway, says what became of the run.
    } finally {
      if (this.following?.leave === leave) this.following = null;
    }
    if (!ended || !this.watching || leave.signal.aborted) return;
    // An answer that is on its way is older than what is known here, and not taken.
    this.asked++;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.refresh(), SOON_MS);
  }

  private put(run: Run): void {
    if (!isUnderWay(run)) return; // the list tells the end, with what came of it
    this.list.set((this.list.get() ?? []).map((each) => (each.name === run.collection ? { ...each, run } : each)));
  }

  private leave(): void {
    this.following?.leave.abort();
    this.following = null;
  }

  // -- Documents

  /** The first of them, or those after the ones that are known. */
  async documents(name: string, state: Left): Promise<void> {
    const key = `${name} ${state}`;
    const known = this.pages.get().get(key);
    if (known?.loading || (known && known.next === null && known.error === null)) return;
    const before = known?.documents ?? [];
    this.setPage(key, { documents: before, next: known?.next ?? null, loading: true, error: null });
    try {
      const { documents, next } = await knowledgeCalls.documents(name, state, known?.next ?? "", PAGE);
      this.setPage(key, { documents: [...before, ...documents], next, loading: false, error: null });
    } catch (error) {
      this.setPage(key, { documents: before, next: known?.next ?? null, loading: false, error: asErrorBody(error) });
    }
  }

  private setPage(key: string, page: Page): void {
    this.pages.set(new Map(this.pages.get()).set(key, page));
  }

  private forgetPages(name: string): void {
    this.pages.set(new Map([...this.pages.get()].filter(([key]) => !key.startsWith(`${name} `))));
  }

  // -- Checks

  /** Reads every byte of a collection again. Leaving the page leaves it. */
  async verify(name: string): Promise<void> {
    if (this.checking.has(name)) return;
    const leave = new AbortController();
    this.checking.set(name, leave);
    this.setCheck(name, { state: "running", done: 0, total: 0 });
    let result: Check | null = null;
    try {
      for await (const { name: event, data } of readWork(await knowledgeCalls.verify(name, leave.signal))) {
        if (event === "progress") this.setCheck(name, { state: "running", done: Number(data["done_bytes"]), total: Number(data["total_bytes"]) });
        else if (event === "error") sayError(errorIn(data));
        else if (event === "done") result = { state: "ended", ...asChecked(data) };
      }
    } catch (error) {
      if (!isAbort(error)) sayError(asErrorBody(error));
    }
    this.checking.delete(name);
    this.setCheck(name, result);
    if (result?.state === "ended" && result.whole) say({ message: `${name} is intact.` });
  }

  private setCheck(name: string, check: Check | null): void {
    const checks = new Map(this.checks.get());
    if (check) checks.set(name, check);
    else checks.delete(name);
    this.checks.set(checks);
  }
}
