/*
 * A message being worded anew in its place.
 * Promises: Enter sends it as a new wording beside the old one, Escape leaves the old one as it was; the focus starts in the
 * field (message.tsx brings it back). Does not cover: changing a stored message; none ever is.
 */
import { useLayoutEffect, useRef, useState } from "react";
import { fitHeight, isSendKey } from "./field";

export function EditMessage(props: { content: string; onCancel: () => void; onSend: (content: string) => void }) {
  const [text, setText] = useState(props.content);
  const field = useRef<HTMLTextAreaElement>(null);
  const ready = text.trim() !== "";

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, []);
  useLayoutEffect(() => {
    if (field.current) fitHeight(field.current);
  }, [text]);

  return (
    <form
      className="message said editing"
      aria-label="Edit message"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) props.onSend(text.trim());
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        props.onCancel();
      }}
    >
      <textarea
        ref={field}
        aria-label="Your message"
        value={text}
        rows={2}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (!isSendKey(event)) return;
          event.preventDefault();
          event.currentTarget.form?.requestSubmit();
        }}
      />
      <div className="editing-actions">
        <button type="button" className="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!ready}>
          Ask again
        </button>
      </div>
    </form>
  );
}
