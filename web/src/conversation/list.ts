/*
 * The list of conversations as the sidebar shows it: searched, newest first, page by page.
 * Promises: an answer to an older question never overwrites a newer one's; refreshing keeps further pages that were
 * already open.
 * Does not cover: what is in a conversation (live.ts).
 */
import { Cell } from "../cell";
import { calls } from "../wire/calls";
import type { ConversationHead, ErrorBody } from "../wire/contract";
import { asErrorBody, isAbort } from "../wire/request";

export interface ListView {
  query: string;
  items: readonly ConversationHead[];
  more: boolean;
  loading: boolean;
  /** Whether anything was ever loaded: before that, an empty list means nothing. */
  loaded: boolean;
  error: ErrorBody | null;
}

export class ConversationList {
  readonly view = new Cell<ListView>({
    query: "",
    items: [],
    more: false,
    loading: false,
    loaded: false,
    error: null,
  });
  private asking: AbortController | null = null;

  private set(changes: Partial<ListView>): void {
    this.view.set({ ...this.view.get(), ...changes });
  }

  search(query: string): Promise<void> {
    this.set({ query });
    return this.refresh();
  }

  async refresh(): Promise<void> {
    await this.ask(null);
  }

  async loadMore(): Promise<void> {
    const last = this.view.get().items.at(-1);
    if (last && this.view.get().more) await this.ask(last.updated_at);
  }

  private async ask(before: number | null): Promise<void> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.set({ loading: true });
    try {
      const page = await calls.conversations(this.view.get().query, before, asking.signal);
      const { items: shown, more: hadMore } = this.view.get();
      let items = page.conversations;
      let more = page.more;
      if (before !== null) {
        const known = new Set(shown.map((head) => head.id));
        items = [...shown, ...items.filter((head) => !known.has(head.id))];
      } else if (page.more && shown.length > items.length) {
        // Further pages were open: keep what is older than this page.
        const oldest = items.at(-1)?.updated_at ?? 0;
        const known = new Set(items.map((head) => head.id));
        items = [...items, ...shown.filter((head) => head.updated_at < oldest && !known.has(head.id))];
        more = hadMore;
      }
      this.set({ items, more, loading: false, loaded: true, error: null });
    } catch (error) {
      if (isAbort(error)) return;
      this.set({ loading: false, error: asErrorBody(error) });
    }
  }

  /** Takes one out at once; the daemon hears of it from the caller. */
  drop(id: string): void {
    this.set({ items: this.view.get().items.filter((head) => head.id !== id) });
  }

  rename(id: string, title: string): void {
    this.set({ items: this.view.get().items.map((head) => (head.id === id ? { ...head, title } : head)) });
  }
}
