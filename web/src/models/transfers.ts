/*
 * The downloads as the page knows them: a list from the daemon, kept fresh by the streams of those that run.
 * Promises: leaving the page stops the watching and no download; at most two streams at a time, for a browser has six
 * connections to a daemon and the chat wants its own; each end is told once (`onEnd`), also of one that ended unseen.
 * Does not cover: drawing, saying. States: hidden -> watched -> hidden, as often as one likes.
 */
import { Cell } from "../cell";
import { asDownload, errorIn, modelCalls, readWork, type Download } from "../wire/models";

const STREAMS = 2;
const EACH_MS = 2500;
/** After a stream ended: not at once, or a stream that always ends would be asked for without a pause. */
const SOON_MS = 300;
/** While another room is looked at, only whether something ended is of interest. */
const EACH_AWAY_MS = 10_000;

export const isActive = (download: Download): boolean => ["queued", "running", "paused"].includes(download.state);
/** What stands on the page: what is under way, and what failed and can be tried again. */
export const isShown = (download: Download): boolean => isActive(download) || download.state === "failed";

/** The list with this download in it, in its place if it was there. */
export function withDownload(list: readonly Download[], download: Download): readonly Download[] {
  if (!list.some((other) => other.id === download.id)) return [...list, download];
  return list.map((other) => (other.id === download.id ? download : other));
}

/** Those that ended between two looks at them. */
export function endedBetween(before: readonly Download[], now: readonly Download[]): Download[] {
  return now.filter((download) => !isActive(download) && before.some((other) => other.id === download.id && isActive(other)));
}

/** Which downloads should get a stream: those that run and have none, as long as there is room. */
export function toWatch(list: readonly Download[], watched: ReadonlySet<number>): number[] {
  const running = list.filter((download) => download.state === "running").map((download) => download.id);
  return running.filter((id) => !watched.has(id)).slice(0, Math.max(0, STREAMS - watched.size));
}

export class Transfers {
  readonly list = new Cell<readonly Download[]>([]);
  private readonly onEnd: (download: Download) => void;
  private readonly streams = new Map<number, AbortController>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watching = false;
  private asked = 0;

  constructor(onEnd: (download: Download) => void) {
    this.onEnd = onEnd;
  }

  /** `watched`: the models page is looked at. Each call looks at once. */
  look(watched: boolean): void {
    this.watching = watched;
    if (!watched) this.leaveStreams();
    void this.refresh();
  }

  /** Nothing is asked any more, until the next `look`. */
  stop(): void {
    this.watching = false;
    clearTimeout(this.timer);
    this.leaveStreams();
    this.asked++;
  }

  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    const asked = ++this.asked;
    try {
      const list = await modelCalls.downloads();
      if (asked !== this.asked) return;
      this.take(list);
    } catch {
      // Nobody answers, or the login ended: both are said elsewhere, and both begin the page afresh.
    }
    if (asked !== this.asked) return;
    const active = this.list.get().some(isActive);
    if (this.watching || active) {
      this.timer = setTimeout(() => void this.refresh(), this.watching ? EACH_MS : EACH_AWAY_MS);
    }
  }

  /** A download that is known better than by the list: just asked for, or out of a stream. */
  put(download: Download): void {
    if (!isActive(download)) this.soon();
    this.take(withDownload(this.list.get(), download));
  }

  /** Asks for the list in a moment. An answer that is on its way is older than what is known here, and not taken. */
  private soon(): void {
    this.asked++;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.refresh(), SOON_MS);
  }

  async steer(id: number, how: "pause" | "resume" | "cancel"): Promise<void> {
    await modelCalls.steer(id, how);
    await this.refresh();
  }

  private take(list: readonly Download[]): void {
    const ended = endedBetween(this.list.get(), list);
    this.list.set(list);
    for (const download of ended) this.onEnd(download);
    if (!this.watching) return;
    for (const id of toWatch(list, new Set(this.streams.keys()))) void this.watch(id);
  }

  private async watch(id: number): Promise<void> {
    const leave = new AbortController();
    this.streams.set(id, leave);
    let ended = false;
    try {
      for await (const { name, data } of readWork(await modelCalls.watch(id, leave.signal))) {
        if (leave.signal.aborted) return;
        if (name === "progress") this.put(asDownload(data));
        else if (name === "error") this.noteFailure(id, data);
      }
      ended = true;
    } catch {
      // Left, or broken; the list, which is asked for again anyway, says what became of the download.
    } finally {
      if (this.streams.get(id) === leave) this.streams.delete(id);
    }
    if (ended && this.watching && !leave.signal.aborted) this.soon();
  }

  private noteFailure(id: number, data: Record<string, unknown>): void {
    const known = this.list.get().find((download) => download.id === id);
    if (known?.state === "running") this.put({ ...known, state: "failed", error: errorIn(data) });
  }

  private leaveStreams(): void {
    for (const leave of this.streams.values()) leave.abort();
    this.streams.clear();
  }
}
