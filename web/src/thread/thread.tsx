/*
 * The messages of the conversation that is shown, from its beginning to the leaf that is looked at.
 * Promises: while an answer grows only that answer is drawn anew; the end stays in view until the reader scrolls up, and a
 * button leads back. Does not cover: writing (composer.tsx).
 */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import { runUnderWay, type LiveConversation } from "../conversation/live";
import { shownPath } from "../conversation/tree";
import { go } from "../conversation/route";
import { keep, readKept } from "../kept";
import { Icon } from "../page/icons";
import type { Message } from "../wire/contract";
import { MessageView, type MessageActions } from "./message";
import { useStickToEnd } from "./stick";

function Notice({ id, text }: { id: string; text: string }) {
  const [closed, setClosed] = useState(() => readKept(`notice.${id}`) !== null);
  if (closed) return null;
  return (
    <aside className="notice" aria-label="Notice">
      <p>{text}</p>
      <button
        type="button"
        className="icon-button small"
        aria-label="Close this notice"
        onClick={() => {
          keep(`notice.${id}`, "closed");
          setClosed(true);
          document.getElementById("composer-field")?.focus();
        }}
      >
        <Icon name="close" />
      </button>
    </aside>
  );
}

export function Thread({ desk, live }: { desk: Desk; live: LiveConversation }) {
  const view = useCell(live.view);
  const { scroller, content, atEnd, toEnd } = useStickToEnd();
  const path = useMemo(() => shownPath(view.messages, view.choices), [view.messages, view.choices]);
  const messages = useRef(view.messages);
  messages.current = view.messages;

  // One's own message is always come back to.
  const lastSaid = path.findLast((shown) => shown.message.role === "user")?.message.id;
  useEffect(toEnd, [toEnd, live, lastSaid]);

  const regenerate = useCallback((message: Message) => void desk.regenerate(live, message.id), [desk, live]);
  const edit = useCallback(
    (message: Message, text: string) => void desk.send(live.id, text, message.parent_id),
    [desk, live],
  );
  const sibling = useCallback(
    (id: string) => {
      const message = messages.current.find((other) => other.id === id);
      if (message) live.choose(message);
    },
    [live],
  );
  const actions = useMemo<MessageActions>(
    () => ({ regenerate, edit, sibling, runOf: (run) => desk.runOf(live, run), resume: (run) => void desk.resume(live, run) }),
    [regenerate, edit, sibling, desk, live],
  );

  const last = path.at(-1)?.message;
  const busy = view.busy || runUnderWay(view) !== null;
  const unanswered = !view.busy && last?.role === "user" ? last : null;

  return (
    <div className="thread-frame">
      <div className="thread" ref={scroller} tabIndex={-1}>
        <div className="thread-content" ref={content}>
          {view.notice && <Notice id={live.id} text={view.notice} />}
          {view.phase === "loading" && <p className="quiet thread-state">Fetching the conversation …</p>}
          {view.phase === "failed" && (
            <div className="thread-state box bad" role="alert">
              <p>{view.error?.message}</p>
              {view.error?.next_step && <p className="ending-step">{view.error.next_step}</p>}
              <p className="thread-state-actions">
                <button type="button" className="button" onClick={() => void live.load()}>
                  Try again
                </button>
                <button type="button" className="button" onClick={() => go(null)}>
                  New conversation
                </button>
              </p>
            </div>
          )}
          {path.map(({ message, siblings }) => (
            <MessageView
              key={message.id}
              message={message}
              siblings={siblings}
              busy={busy}
              actions={actions}
              growing={message.id === view.streamingId ? live.text : null}
              queue={message.id === view.streamingId ? view.queue : null}
            />
          ))}
          {unanswered && (
            <div className="ending box unanswered">
              <p>No answer came to this message.</p>
              <button type="button" className="button" onClick={() => edit(unanswered, unanswered.content)}>
                <Icon name="retry" /> Ask again
              </button>
            </div>
          )}
          {view.busy && view.streamingId === null && last?.role === "user" && (
            <p className="waiting lone" aria-hidden="true">
              <span className="caret" />
            </p>
          )}
        </div>
      </div>
      {!atEnd && (
        <button type="button" className="jump" onClick={toEnd}>
          <Icon name="arrowDown" /> Jump to latest
        </button>
      )}
    </div>
  );
}
