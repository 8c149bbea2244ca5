/*
 * One message: what the person said, or what the model answered with how it went.
 * Promises: a finished message is drawn once (memo); `stopped`, `interrupted` and `failed` are said as they are, with the
 * error's own words and next step. Does not cover: sending; the buttons only call what they are given.
 */
import { memo, useEffect, useRef, useState } from "react";
import type { RunFollower } from "../agent/follower";
import { RunSteps } from "../agent/run";
import { type Cell, useCell } from "../cell";
import { formatCount, formatRate, formatSeconds } from "../format";
import { CopyButton } from "../page/copy-button";
import { Flame, Icon } from "../page/icons";
import type { Queue } from "../conversation/live";
import { placeWords } from "../machine/words";
import type { Message } from "../wire/contract";
import { EditMessage } from "./edit-message";
import { GrowingMarkdown, Markdown } from "./markdown";

export interface MessageActions {
  regenerate: (message: Message) => void;
  edit: (message: Message, content: string) => void;
  sibling: (id: string) => void;
  /** The run behind an answer, and how to go on with it. */
  runOf: (run: string) => RunFollower;
  resume: (run: string) => void;
}

interface Props {
  message: Message;
  siblings: readonly string[];
  /** Another answer is on its way: nothing can be asked for now. */
  busy: boolean;
  actions: MessageActions;
  /** The text that comes in, if it comes in here. */
  growing: Cell<string> | null;
  /** Where it stands in the queue for its model, if it waits. */
  queue: Queue | null;
}

function Siblings({ message, siblings, go }: { message: Message; siblings: readonly string[]; go: (id: string) => void }) {
  if (siblings.length < 2) return null;
  const index = siblings.indexOf(message.id);
  const earlier = siblings[index - 1];
  const later = siblings[index + 1];
  const what = message.role === "user" ? "wording" : "answer";
  return (
    <span className="siblings" role="group" aria-label={`This is ${what} ${index + 1} of ${siblings.length}`}>
      <button type="button" className="icon-button small" aria-label={`Previous ${what}`} aria-disabled={!earlier} onClick={() => earlier && go(earlier)}>
        <Icon name="chevronLeft" />
      </button>
      <span className="siblings-count">
        {index + 1} / {siblings.length}
      </span>
      <button type="button" className="icon-button small" aria-label={`Next ${what}`} aria-disabled={!later} onClick={() => later && go(later)}>
        <Icon name="chevronRight" />
      </button>
    </span>
  );
}

/** "qwen", or "pilot for qwen" where another than the one that was asked for answered. */
export const by = (model: string, answered?: string): string => (answered && answered !== model ? `${answered} for ${model}` : model);

/** Who was asked before the one that answered, and why that failed. */
export function askedBefore({ answered_by }: Message): string | undefined {
  const failed = answered_by?.failed ?? [];
  return failed.length ? `Asked before: ${failed.map((one) => `${one.name} (${one.code})`).join(", ")}` : undefined;
}

/** Said where it can be read, not only hovered over: the words come from another model than the one that was chosen. */
function StoodIn({ message }: { message: Message }) {
  const { model, answered_by } = message;
  if (!answered_by || answered_by.name === model || answered_by.failed.length === 0) return null;
  const why = answered_by.failed.map(({ name, code }) => `${name} (${code.replaceAll("_", " ")})`).join(", ");
  return (
    <p className="stood-in">
      Answered by <b>{answered_by.name}</b>. Asked before: {why}.
    </p>
  );
}

function Figures({ message }: { message: Message }) {
  const { timings, usage, model, answered_by } = message;
  return (
    <ul className="figures" aria-label="About this answer">
      {model && <li title={askedBefore(message)}>{by(model, answered_by?.name)}</li>}
      {timings?.tokens_per_second != null && <li title="How fast it was written">{formatRate(timings.tokens_per_second)}</li>}
      {timings?.time_to_first_token_s != null && (
        <li title="Time to first token">first token {formatSeconds(timings.time_to_first_token_s)}</li>
      )}
      {usage && (
        <li title={`${formatCount(usage.prompt_tokens)} tokens read, ${formatCount(usage.completion_tokens)} written`}>
          {formatCount(usage.completion_tokens)} {usage.completion_tokens === 1 ? "token" : "tokens"}
        </li>
      )}
    </ul>
  );
}

function Ending({ message, busy, actions }: { message: Message; busy: boolean; actions: MessageActions }) {
  if (message.state === "complete" || message.state === "streaming") return null;
  const { run } = message;
  if (message.state === "stopped") return <p className="ending">{run ? "You stopped the agent here. What it did stays done." : "You stopped this answer here."}</p>;
  const failed = message.state === "failed";
  return (
    <div className={`ending box ${failed ? "bad" : ""}`}>
      <div>
        <p className="ending-message">
          {failed ? (message.error?.message ?? "The answer failed.") : "The answer was interrupted: the daemon ended in the middle of it."}
        </p>
        {failed && message.error?.next_step && <p className="ending-step">{message.error.next_step}</p>}
      </div>
      {run && !failed ? (
        <button type="button" className="button" onClick={() => actions.resume(run)} disabled={busy}>
          <Icon name="play" /> Go on
        </button>
      ) : (
        <button type="button" className="button" onClick={() => actions.regenerate(message)} disabled={busy}>
          <Icon name="retry" /> Try again
        </button>
      )}
    </div>
  );
}

function Waiting({ queue }: { queue: Queue | null }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = Date.now();
    const timer = setInterval(() => setSeconds(Math.round((Date.now() - began) / 1000)), 1000);
    return () => clearInterval(timer);
  }, []);
  const place = queue && queueWords(queue, Date.now());
  const soFar = seconds >= 3 ? ` · ${seconds} s` : "";
  return (
    <p className="waiting">
      <span className="caret" aria-hidden="true" />
      {place ? (
        <span>
          {place}
          {soFar && `${soFar} so far`}
        </span>
      ) : (
        <span className={seconds < 3 ? "visually-hidden" : ""}>Waiting for the first word{soFar}</span>
      )}
    </p>
  );
}

/** The place and the time that is left; "" once the turn must have come: nothing tells that, but the first word. */
export function queueWords({ place, eta, at }: Queue, now: number): string {
  const left = eta - (now - at) / 1000;
  return place <= 1 && left < -2 ? "" : placeWords(place, Math.max(0, left));
}

function Growing({ text, queue }: { text: Cell<string>; queue: Queue | null }) {
  const now = useCell(text);
  return now === "" ? <Waiting queue={queue} /> : <GrowingMarkdown text={now} />;
}

function Answer({ message, siblings, busy, actions, growing, queue }: Props) {
  const streaming = message.state === "streaming";
  return (
    <article className="message answer" data-role="assistant" data-id={message.id} data-state={message.state} aria-label="Homefire's answer" aria-busy={streaming}>
      <Flame className={streaming ? "burning" : ""} />
      <div className="message-body">
        <StoodIn message={message} />
        {message.run && <RunSteps key={message.run} follower={actions.runOf(message.run)} live={streaming} />}
        {growing ? (
          <Growing text={growing} queue={queue} />
        ) : streaming && message.content === "" ? (
          message.run ? null : <Waiting queue={null} />
        ) : (
          <Markdown text={message.content} />
        )}
        <Ending message={message} busy={busy} actions={actions} />
        {!streaming && (
          <footer className="message-foot">
            <div className="message-actions">
              {message.content !== "" && <CopyButton label="Copy answer" text={() => message.content} />}
              <button type="button" className="icon-button small" aria-label="Answer again" title="Answer again" disabled={busy} onClick={() => actions.regenerate(message)}>
                <Icon name="retry" />
              </button>
              <Siblings message={message} siblings={siblings} go={actions.sibling} />
            </div>
            <Figures message={message} />
          </footer>
        )}
      </div>
    </article>
  );
}

function Said({ message, siblings, busy, actions }: Props) {
  const [editing, setEditing] = useState(false);
  const editButton = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    if (wasEditing.current && !editing) editButton.current?.focus();
    wasEditing.current = editing;
  }, [editing]);
  if (editing) {
    return (
      <EditMessage
        content={message.content}
        onCancel={() => setEditing(false)}
        onSend={(content) => {
          setEditing(false);
          document.getElementById("composer-field")?.focus();
          actions.edit(message, content);
        }}
      />
    );
  }
  return (
    <article className="message said" data-role="user" data-state={message.state} aria-label="You">
      <div className="said-text">{message.content}</div>
      <footer className="message-foot">
        <div className="message-actions">
          <Siblings message={message} siblings={siblings} go={actions.sibling} />
          <CopyButton label="Copy message" text={() => message.content} />
          <button ref={editButton} type="button" className="icon-button small" aria-label="Edit message" title="Edit and ask again" disabled={busy} onClick={() => setEditing(true)}>
            <Icon name="pencil" />
          </button>
        </div>
      </footer>
    </article>
  );
}

export const MessageView = memo(function MessageView(props: Props) {
  return props.message.role === "user" ? <Said {...props} /> : <Answer {...props} />;
});
