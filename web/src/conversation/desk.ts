/*
 * The desk on which conversations lie open: what the page does with them, in one place.
 * Promises: a conversation that streams stays on the desk while others are looked at; a deleted one can be brought back;
 * text that could not be sent goes back into the draft.
 * Does not cover: drawing. Errors are said through the toasts.
 */
import { RunFollower } from "../agent/follower";
import { drafts, forget, keep, readKept, samplings } from "../kept";
import { dismiss, say, sayError } from "../page/toasts";
import { Cell } from "../cell";
import { keysOff } from "../session/session";
import { calls } from "../wire/calls";
import type { ConversationHead, Message, ModelList, Status } from "../wire/contract";
import { ApiError, asErrorBody, Unreachable } from "../wire/request";
import { ConversationList } from "./list";
import { LiveConversation, runUnderWay } from "./live";
import { go, route } from "./route";
import { shownPath } from "./tree";

const UNDO_MS = 10_000;

/** Texts that could not be sent come back here; the composer watches it. */
export interface Returned {
  id: string | null;
  text: string;
}

export class Desk {
  readonly list = new ConversationList();
  readonly models = new Cell<ModelList>({ default: null, models: [] });
  readonly status = new Cell<Status | null>(null);
  /** The model and the system prompt for the conversation not yet begun. */
  readonly newModel = new Cell<string | null>(readKept("model"));
  readonly newSystem = new Cell("");
  readonly returned = new Cell<Returned | null>(null);
  /** The newest finished answer, for those who listen instead of looking. */
  readonly spoken = new Cell("");
  /** What is written becomes the task of an agent. */
  readonly acts = new Cell(readKept("act") === "on");
  private readonly open = new Map<string, LiveConversation>();
  private readonly runs = new Map<string, RunFollower>();
  private creating = false;

  at(id: string): LiveConversation {
    const there = this.open.get(id);
    if (there) return there;
    return this.lay(new LiveConversation(id, this.ears(id)));
  }

  /** The run whose answer stands in that conversation. */
  runOf(live: LiveConversation, run: string): RunFollower {
    const there = this.runs.get(run);
    if (there) return there;
    const made = new RunFollower(
      run,
      () => void live.settled(),
      (words) => this.spoken.set(words),
    );
    this.runs.set(run, made);
    return made;
  }

  setActs(on: boolean): void {
    this.acts.set(on);
    keep("act", on ? "on" : null);
  }

  /** Stops what is under way in a conversation: an answer, or an agent. */
  stop(live: LiveConversation): void {
    const run = runUnderWay(live.view.get());
    if (run === null || live.view.get().busy) live.stop();
    else void this.runOf(live, run).stop();
  }

  /** Tells the agent at work in a conversation something more. */
  async tell(live: LiveConversation, run: string, text: string): Promise<void> {
    if (await this.runOf(live, run).say(text)) {
      if (drafts.read(live.id) === text) drafts.keep(live.id, "");
    } else this.giveBack(live.id, text);
  }

  /** Goes on with a run that the daemon's end interrupted. */
  async resume(live: LiveConversation, run: string): Promise<void> {
    if (await this.runOf(live, run).resume()) await live.load();
  }

  /** Looks at the list again, and takes from it the title that the daemon gave a conversation. */
  private async relist(id: string): Promise<void> {
    await this.list.refresh();
    const head = this.list.view.get().items.find((other) => other.id === id);
    if (head) this.open.get(id)?.retitle(head.title ?? "");
  }

  /** Looks at the daemon's state of a conversation that is about to be shown. */
  async freshen(id: string): Promise<void> {
    const live = this.at(id);
    if (!live.view.get().busy) await live.load();
  }

  private lay(live: LiveConversation): LiveConversation {
    this.open.set(live.id, live);
    return live;
  }

  private ears(id: string) {
    return {
      onChange: () => void this.relist(id),
      onAnswer: (message: Message) => {
        if (route.get() === id) this.spoken.set(spokenForm(message));
        void this.refreshStatus();
      },
    };
  }

  /** Everything afresh: at the beginning, and when the daemon has come back. */
  async refresh(): Promise<void> {
    const id = route.get();
    const live = id === null ? undefined : this.open.get(id);
    await Promise.all([this.refreshModels(), this.refreshStatus(), this.list.refresh(), live?.load()]);
  }

  async refreshModels(): Promise<void> {
    try {
      this.models.set(await calls.models());
    } catch (error) {
      if (error instanceof ApiError && error.status !== 401) sayError(error.body);
    }
  }

  async refreshStatus(): Promise<void> {
    try {
      const status = await calls.status();
      this.status.set(status);
      keysOff.set(status.auth === "off");
    } catch {
      this.status.set(null);
    }
  }

  /** Sends a text in the conversation that is shown, or begins one with it. */
  async send(id: string | null, content: string, parentId?: string | null): Promise<void> {
    const live = id === null ? await this.begin(content) : this.at(id);
    if (live === null) return;
    const message = parentId === undefined ? { content } : { content, parent_id: parentId };
    const taken = (): void => {
      // The draft is kept until the daemon has the message, and no longer.
      if (drafts.read(id) === content) drafts.keep(id, "");
    };
    const accepted = await (this.acts.get() ? live.act(message, taken) : live.send(message, samplings.read(live.id), taken));
    if (!accepted) {
      if (id === null && drafts.read(null) === content) drafts.keep(null, "");
      this.giveBack(live.id, content);
    }
    this.sayWhatFailed(live);
  }

  /** Sends a text after the last message that is shown, which need not be the newest leaf. */
  async sendAfterShown(live: LiveConversation, content: string): Promise<void> {
    const { messages, choices } = live.view.get();
    const last = shownPath(messages, choices).at(-1)?.message.id;
    await (last === undefined ? this.send(live.id, content) : this.send(live.id, content, last));
  }

  private async begin(content: string): Promise<LiveConversation | null> {
    if (this.creating) return null;
    this.creating = true;
    try {
      const model = this.models.get().models.some((known) => known.name === this.newModel.get())
        ? this.newModel.get()
        : null;
      const system = this.newSystem.get().trim();
      const made = await calls.create({ ...(model ? { model } : {}), ...(system ? { system } : {}) });
      const live = this.lay(new LiveConversation(made.id, this.ears(made.id), { ...made, messages: made.messages ?? [] }));
      samplings.keep(made.id, samplings.read(null));
      this.newSystem.set("");
      go(made.id, true);
      return live;
    } catch (error) {
      this.giveBack(null, content);
      if (!(error instanceof Unreachable)) sayError(asErrorBody(error));
      return null;
    } finally {
      this.creating = false;
    }
  }

  private giveBack(id: string | null, text: string): void {
    const begun = drafts.read(id);
    const both = begun === "" || begun === text ? text : `${text}\n\n${begun}`;
    drafts.keep(id, both);
    this.returned.set({ id, text: both });
  }

  async regenerate(live: LiveConversation, messageId: string): Promise<void> {
    const acted = live.view.get().messages.find((message) => message.id === messageId)?.run;
    await (acted ? live.act({ again: messageId }) : live.regenerate(messageId, samplings.read(live.id)));
    this.sayWhatFailed(live);
  }

  /** Errors that stand in no message. */
  private sayWhatFailed(live: LiveConversation): void {
    const { error, phase } = live.view.get();
    if (error && phase === "ready") sayError(error);
  }

  async change(id: string | null, fields: { model?: string; system?: string; title?: string }): Promise<void> {
    if (id === null) {
      if (fields.model !== undefined) {
        this.newModel.set(fields.model);
        keep("model", fields.model);
      }
      if (fields.system !== undefined) this.newSystem.set(fields.system);
      return;
    }
    try {
      if (fields.title !== undefined) this.list.rename(id, fields.title);
      await this.at(id).change(fields);
    } catch (error) {
      sayError(asErrorBody(error));
      void this.list.refresh();
    }
  }

  async remove(head: ConversationHead): Promise<void> {
    const live = this.open.get(head.id);
    if (live) this.stop(live);
    this.list.drop(head.id);
    const wasShown = route.get() === head.id;
    if (wasShown) go(null);
    try {
      await calls.remove(head.id);
    } catch (error) {
      sayError(asErrorBody(error));
      void this.list.refresh();
      return;
    }
    this.open.delete(head.id);
    let undone = false;
    const id = say({
      message: `Deleted “${head.title || "Untitled"}”.`,
      action: {
        label: "Undo",
        run: () => {
          undone = true;
          dismiss(id);
          void this.restore(head.id, wasShown);
        },
      },
      lastsMs: UNDO_MS,
      onGone: () => {
        if (!undone) forget(head.id);
      },
    });
  }

  private async restore(id: string, show: boolean): Promise<void> {
    try {
      await calls.restore(id);
      if (show) go(id);
    } catch (error) {
      sayError(asErrorBody(error));
    }
    void this.list.refresh();
  }
}

/** What a screen reader is told of a finished answer. */
function spokenForm(message: Message): string {
  const how = {
    complete: "Homefire answered",
    stopped: "Answer stopped",
    interrupted: "Answer interrupted",
    failed: `Answer failed. ${message.error?.message ?? ""}`,
    streaming: "",
  }[message.state];
  return `${how}: ${message.content.replace(/[`*_#>|]/g, "").slice(0, 1500)}`;
}
