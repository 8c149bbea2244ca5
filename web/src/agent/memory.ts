/*
 * What agents remember, as the page knows it: the blocks that stand in every prompt, the facts, what a search found.
 * Promises: an edit that somebody else was quicker with is not lost and overwrites nothing: the page says so and keeps what was
 * written; what was forgotten can be brought back from where that is said. Does not cover: drawing.
 */
import { Cell } from "../cell";
import { dismiss, say, sayError } from "../page/toasts";
import type { ErrorBody } from "../wire/contract";
import { memoryCalls, type Block, type Fact, type Recalled, type Version } from "../wire/memory";
import { asErrorBody } from "../wire/request";

const UNDO_MS = 10_000;

export class Memory {
  /** Null: nothing is known yet. */
  readonly blocks = new Cell<readonly Block[] | null>(null);
  readonly facts = new Cell<readonly Fact[]>([]);
  readonly versions = new Cell<ReadonlyMap<string, readonly Version[]>>(new Map());
  /** What was found, null: nobody searched. */
  readonly found = new Cell<readonly Recalled[] | null>(null);
  readonly refused = new Cell<ErrorBody | null>(null);
  private asked = 0;

  async refresh(): Promise<void> {
    const asked = ++this.asked;
    try {
      const [blocks, facts] = await Promise.all([memoryCalls.blocks(), memoryCalls.facts()]);
      if (asked !== this.asked) return;
      this.blocks.set(blocks);
      this.facts.set(facts);
      this.refused.set(null);
    } catch (error) {
      if (asked === this.asked) this.refused.set(asErrorBody(error));
    }
  }

  /** True if it was taken; else what was written is still the writer's. */
  async edit(block: Block, text: string): Promise<boolean> {
    return this.change(() => memoryCalls.edit(block.name, block.version, text));
  }

  async restore(name: string, version: number): Promise<boolean> {
    return this.change(() => memoryCalls.restore(name, version));
  }

  private async change(call: () => Promise<Block>): Promise<boolean> {
    try {
      const block = await call();
      this.blocks.set((this.blocks.get() ?? []).map((each) => (each.name === block.name ? block : each)));
      if (this.versions.get().has(block.name)) void this.lookBack(block.name);
      return true;
    } catch (error) {
      const body = asErrorBody(error);
      sayError(body);
      // Somebody was quicker: what stands there now is shown beside what was written.
      if (body.code === "memory_conflict") await this.refresh();
      return false;
    }
  }

  async lookBack(name: string): Promise<void> {
    try {
      this.versions.set(new Map(this.versions.get()).set(name, await memoryCalls.versions(name)));
    } catch (error) {
      sayError(asErrorBody(error));
    }
  }

  async forget(fact: Fact): Promise<void> {
    try {
      await memoryCalls.forget(fact.id);
    } catch (error) {
      sayError(asErrorBody(error));
      return;
    }
    this.facts.set(this.facts.get().filter((each) => each.id !== fact.id));
    const id = say({
      message: `Forgotten: ${fact.text.slice(0, 80)}`,
      action: { label: "Undo", run: () => (dismiss(id), void this.undo(fact.id)) },
      lastsMs: UNDO_MS,
    });
  }

  private async undo(id: string): Promise<void> {
    try {
      await memoryCalls.undo(id);
    } catch (error) {
      sayError(asErrorBody(error));
    }
    await this.refresh();
  }

  async search(query: string): Promise<void> {
    if (query.trim() === "") {
      this.found.set(null);
      return;
    }
    try {
      this.found.set(await memoryCalls.search(query.trim()));
    } catch (error) {
      sayError(asErrorBody(error));
    }
  }
}
