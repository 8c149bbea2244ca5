/*
 * One conversation as the page holds it: its messages, and the answer that is coming in, if one is.
 * Promises: one answer at a time; it goes on while another conversation is looked at; the text that streams in has a cell
 * of its own, told at most once a frame, so that nothing but the message that grows is drawn again; a message that could not
 * be sent is handed back to the sender, never lost.
 * Does not cover: the list of conversations (list.ts), drawing, saying errors aloud (the `Ears` do).
 */
import { Cell } from "../cell";
import { readAnswer } from "../wire/answer";
import { calls, type ConversationFields, type NewMessage } from "../wire/calls";
import type { AnswerEvent, Conversation, ErrorBody, Message, Sampling } from "../wire/contract";
import { agentCalls, type Order } from "../wire/agent";
import { ApiError, asErrorBody, isAbort } from "../wire/request";
import { doubt } from "../session/connection";
import { choose, leadTo, withMessage, type Choices } from "./tree";

export interface Queue {
  place: number;
  eta: number;
  at: number;
}

export interface LiveView {
  phase: "loading" | "ready" | "failed";
  title: string;
  model: string | null;
  system: string | null;
  notice: string | null;
  messages: readonly Message[];
  choices: Choices;
  /** The answer that is coming in. */
  streamingId: string | null;
  /** Where that answer stands in the queue for its model, about how many seconds still, and when that was said (ms). */
  queue: Queue | null;
  /** Something was sent or is coming in. */
  busy: boolean;
  error: ErrorBody | null;
}

export interface Ears {
  /** The list should look again: a title, a time or a place in it has changed. */
  onChange: () => void;
  onAnswer: (message: Message) => void;
}

const EMPTY: LiveView = {
  phase: "loading",
  title: "",
  model: null,
  system: null,
  notice: null,
  messages: [],
  choices: new Map(),
  streamingId: null,
  queue: null,
  busy: false,
  error: null,
};

/** After a stop the daemon needs a moment to store what came; after that, other readers' streams are looked at each second. */
const SETTLE_MS = [250, 600, 1200, 2500];
const WATCH_MS = 1000;
const PENDING = "pending";

export class LiveConversation {
  readonly id: string;
  readonly view: Cell<LiveView>;
  /** The text so far of the answer that is coming in. */
  readonly text = new Cell("");
  private readonly ears: Ears;
  private abort: AbortController | null = null;
  private arrived = "";
  private frame = 0;
  /** The answer under way has come to its `done` or `error`. */
  private ended = false;
  /** How many answers were asked for here. */
  private answers = 0;
  private watching: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string, ears: Ears, known?: Conversation) {
    this.id = id;
    this.ears = ears;
    this.view = new Cell(EMPTY);
    if (known) this.take(known);
  }

  private set(changes: Partial<LiveView>): void {
    this.view.set({ ...this.view.get(), ...changes });
  }

  private take(conversation: Conversation): void {
    this.set({
      phase: "ready",
      title: conversation.title ?? "",
      model: conversation.model,
      system: conversation.system,
      notice: conversation.notice ?? null,
      messages: conversation.messages,
      error: null,
    });
    this.watchForeignStream();
  }

  /** Fetches the conversation as stored. While an answer comes in here, this page knows better and nothing is taken. */
  async load(): Promise<void> {
    const asked = this.answers;
    try {
      const stored = await calls.conversation(this.id);
      // What was stored before an answer began here says nothing any more.
      if (!this.view.get().busy && asked === this.answers) this.take(stored);
    } catch (error) {
      if (this.view.get().phase !== "ready") this.set({ phase: "failed", error: asErrorBody(error) });
    }
  }

  /** An answer may be coming in elsewhere (another tab): look each second until it is whole. */
  private watchForeignStream(): void {
    clearTimeout(this.watching);
    if (this.view.get().messages.some((message) => message.state === "streaming" && !message.run)) {
      this.watching = setTimeout(() => void this.load(), WATCH_MS);
    }
  }

  retitle(title: string): void {
    if (title !== this.view.get().title) this.set({ title });
  }

  choose(message: Message): void {
    this.set({ choices: choose(this.view.get().choices, message) });
  }

  async change(fields: ConversationFields): Promise<void> {
    const stored = await calls.change(this.id, fields);
    this.set({ title: stored.title ?? "", model: stored.model, system: stored.system });
    this.ears.onChange();
  }

  /** Sends a message and takes in the answer. False: it was never accepted, and the text is still the sender's. */
  async send(message: NewMessage, sampling: Sampling, onAccepted: () => void): Promise<boolean> {
    if (this.view.get().busy) return false;
    this.showPending(message);
    return this.takeAnswer((signal) => calls.say(this.id, message, sampling, signal), onAccepted);
  }

  private showPending(message: NewMessage): void {
    const before = this.view.get();
    const pending: Message = {
      id: PENDING,
      parent_id: message.parent_id ?? null,
      role: "user",
      content: message.content,
      state: "complete",
      error: null,
      created_at: Date.now() / 1000,
      usage: null,
      timings: null,
    };
    const messages = [...before.messages, pending];
    this.set({ messages, choices: leadTo(before.choices, messages, PENDING) });
  }

  /** Has an agent do it; its run goes on by itself, and its answer comes with `settled`. False: it was never begun. */
  async act(message: NewMessage | { again: string }, onAccepted?: () => void): Promise<boolean> {
    if (this.view.get().busy) return false;
    if ("content" in message) this.showPending(message);
    this.answers++;
    this.set({ busy: true, error: null });
    try {
      const { content, ...where } = "content" in message ? message : { content: "", ...message };
      const order = ("again" in where ? where : { ...where, task: content }) as Order;
      const made = await agentCalls.start({ ...order, conversation: this.id }, new AbortController().signal);
      onAccepted?.();
      this.dropPending();
      const messages = made.messages.reduce(withMessage, this.view.get().messages as Message[]);
      const last = made.messages.at(-1);
      this.set({ messages, choices: last ? leadTo(this.view.get().choices, messages, last.id) : this.view.get().choices });
      return true;
    } catch (error) {
      this.dropPending();
      this.set({ busy: false });
      const known = this.view.get().messages.length;
      if (error instanceof ApiError) await this.load();
      // The daemon had stored the question before it failed: then its answer says why, and there is nothing to give back.
      if (this.view.get().messages.length > known) {
        onAccepted?.();
        return true;
      }
      this.set({ error: asErrorBody(error) });
      return false;
    } finally {
      this.set({ busy: false });
      this.ears.onChange();
    }
  }

  /** The run of an answer here has ended: look what became of it. */
  async settled(): Promise<void> {
    await this.reconcile();
    const last = this.view.get().messages.findLast((message) => message.run);
    if (last && last.state !== "streaming") this.ears.onAnswer(last);
  }

  async regenerate(messageId: string, sampling: Sampling): Promise<boolean> {
    if (this.view.get().busy) return false;
    return this.takeAnswer((signal) => calls.regenerate(this.id, messageId, sampling, signal));
  }

  stop(): void {
    this.abort?.abort();
  }

  private async takeAnswer(
    ask: (signal: AbortSignal) => Promise<Response>,
    onAccepted?: () => void,
  ): Promise<boolean> {
    const abort = new AbortController();
    this.abort = abort;
    this.answers++;
    this.arrived = "";
    this.ended = false;
    this.text.set("");
    this.set({ busy: true, queue: null, error: null });
    let accepted = false;
    try {
      const response = await ask(abort.signal);
      accepted = true;
      onAccepted?.();
      for await (const event of readAnswer(response)) this.hear(event);
      // The connection ended without `done` or `error`: the daemon died in the middle.
      if (this.view.get().streamingId !== null) this.settle("interrupted");
      else if (!this.ended) void this.reconcile();
    } catch (error) {
      if (!accepted) this.dropPending();
      if (isAbort(error)) this.settle("stopped");
      else if (accepted) {
        this.settle("interrupted");
        void doubt();
      } else this.set({ error: asErrorBody(error) });
    } finally {
      this.abort = null;
      this.set({ busy: false, streamingId: null, queue: null });
      this.ears.onChange();
    }
    return accepted;
  }

  private hear(event: AnswerEvent): void {
    const view = this.view.get();
    if (event.kind === "delta") return this.grow(event.text);
    if (event.kind === "notice") return this.set({ notice: event.text });
    if (event.kind === "queue") return this.set({ queue: { place: event.place, eta: event.eta, at: Date.now() } });
    if (event.kind === "answered_by") return this.noteAnsweredBy(event.by);
    if (event.kind === "error") {
      this.ended = true;
      return this.settle("failed", event.error);
    }
    const message = this.withAnsweredBy(event.message);
    const messages = withMessage(
      message.role === "user" ? view.messages.filter((other) => other.id !== PENDING) : view.messages,
      message,
    );
    if (event.kind === "done") {
      this.ended = true;
      this.forgetFrame();
      this.set({ messages, streamingId: null });
      this.ears.onAnswer(message);
      return;
    }
    const streaming = message.role === "assistant" ? message.id : view.streamingId;
    this.set({ messages, choices: leadTo(view.choices, messages, message.id), streamingId: streaming });
    if (message.role === "user") this.ears.onChange();
  }

  /** Who answers is said while the answer comes; one that ends without repeating it was still given by that one. */
  private withAnsweredBy(message: Message): Message {
    const known = this.view.get().messages.find((other) => other.id === message.id)?.answered_by;
    return known && !message.answered_by ? { ...message, answered_by: known } : message;
  }

  private noteAnsweredBy(by: NonNullable<Message["answered_by"]>): void {
    const { messages, streamingId } = this.view.get();
    const answer = messages.find((message) => message.id === streamingId);
    this.set({ queue: null, ...(answer ? { messages: withMessage(messages, { ...answer, answered_by: by }) } : {}) });
  }

  /** Adds a piece; the watchers hear of it with the next frame. A hidden page has no frames and needs none. */
  private grow(piece: string): void {
    this.arrived += piece;
    if (this.view.get().queue) this.set({ queue: null });
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.text.set(this.arrived);
      });
    }
  }

  private forgetFrame(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  /** The answer ended other than by `done`: keep what came, and look what the daemon stored. */
  private settle(state: "stopped" | "interrupted" | "failed", error: ErrorBody | null = null): void {
    this.forgetFrame();
    const { messages, streamingId } = this.view.get();
    const answer = messages.find((message) => message.id === streamingId);
    if (answer) {
      const settled: Message = { ...answer, content: this.arrived, state, error };
      this.set({ messages: withMessage(messages, settled), streamingId: null });
      this.ears.onAnswer(settled);
    } else if (error) this.set({ error });
    void this.reconcile();
  }

  private async reconcile(): Promise<void> {
    const asked = this.answers;
    for (const pause of SETTLE_MS) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (asked !== this.answers) return;
      try {
        const stored = await calls.conversation(this.id);
        if (asked !== this.answers) return;
        if (stored.messages.some((message) => message.state === "streaming")) continue;
        this.take(stored);
        return;
      } catch {
        // Nobody answers; whoever watches `returns` loads the conversation when the daemon is back.
        return;
      }
    }
  }

  private dropPending(): void {
    const messages = this.view.get().messages.filter((message) => message.id !== PENDING);
    this.set({ messages });
  }
}

/** The run that is under way in a conversation, if one is. */
export const runUnderWay = ({ messages }: LiveView): string | null => messages.find((message) => message.run && message.state === "streaming")?.run ?? null;
