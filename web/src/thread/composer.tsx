/*
 * The field in which a message is written.
 * Promises: what is written is kept as a draft of its conversation until the daemon has taken it; while an answer comes in,
 * the button stops it, and one can go on writing; a switch says whether an agent acts on it. Does not cover: files and pictures; the daemon takes text.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import { drafts } from "../kept";
import { Icon } from "../page/icons";
import { fitHeight, isSendKey } from "./field";

interface Props {
  desk: Desk;
  id: string | null;
  busy: boolean;
  gone: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
  /** Given while an agent is at work: what is sent then is told to it. */
  onTell?: ((text: string) => void) | undefined;
}

export function Composer({ desk, id, busy, gone, onSend, onStop, onTell }: Props) {
  const [text, setText] = useState(() => drafts.read(id));
  const [shownId, setShownId] = useState(id);
  const returned = useCell(desk.returned);
  const acts = useCell(desk.acts);
  const field = useRef<HTMLTextAreaElement>(null);
  const telling = busy && onTell !== undefined && text.trim() !== "";
  const ready = telling || (text.trim() !== "" && !busy);

  if (shownId !== id) {
    setShownId(id);
    setText(drafts.read(id));
  }

  useLayoutEffect(() => {
    if (field.current) fitHeight(field.current);
  }, [text]);

  // Who comes to a conversation wants to write; on a touch screen that would open the keyboard unasked.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [id]);

  useEffect(() => {
    if (returned?.id !== id || returned === null) return;
    desk.returned.set(null);
    setText(returned.text);
  }, [returned, id, desk]);

  function send(): void {
    if (!ready) return;
    setText("");
    if (telling) onTell(text.trim());
    else onSend(text.trim());
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        id="composer-field"
        aria-label="Message"
        placeholder={onTell ? "Tell it something more" : acts ? "What should it do?" : "Message Homefire"}
        enterKeyHint="send"
        autoComplete="off"
        rows={1}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          drafts.keep(id, event.target.value);
        }}
        onKeyDown={(event) => {
          if (!isSendKey(event)) return;
          event.preventDefault();
          send();
        }}
      />
      <button
        type="button"
        role="switch"
        className="act-switch"
        aria-checked={acts}
        aria-label="Act: let an agent do it with tools"
        title={acts ? "An agent does it, with tools, and asks before anything risky" : "Homefire answers, and does nothing"}
        onClick={() => desk.setActs(!acts)}
      >
        <Icon name="hand" /> <span>Act</span>
      </button>
      {busy && !telling ? (
        <button key="stop" type="button" className="send stop" aria-label="Stop" title="Stop (Esc)" onClick={onStop}>
          <Icon name="stop" />
        </button>
      ) : (
        <button key="send" type="submit" className="send" aria-label={telling ? "Tell it" : "Send"} title={gone ? "The daemon is not answering" : telling ? "Tell it (Enter)" : "Send (Enter)"} disabled={!ready}>
          <Icon name="arrowUp" />
        </button>
      )}
    </form>
  );
}
