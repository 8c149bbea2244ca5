/*
 * A button for what cannot be undone: it asks once, in its place.
 * Promises: the focus goes to the answer that changes nothing; Escape is that answer, and gives the focus back.
 * Does not cover: where the focus goes when the thing is gone; the caller knows what is left.
 */
import { useEffect, useId, useRef, useState, type ReactNode } from "react";

interface Props {
  /** What stands on the button, and what a screen reader says of it. */
  children: ReactNode;
  label: string;
  question: string;
  yes: string;
  no: string;
  busy: boolean;
  onYes: () => void;
  /** A gentler answer between the two. */
  between?: { word: string; run: () => void };
  /** Given: there is nothing to ask about now, and the button does this at once. It stays the same button, or it would lose the focus. */
  straight?: (() => void) | undefined;
}

export function ConfirmButton({ children, label, question, yes, no, busy, onYes, between, straight }: Props) {
  const [asking, setAsking] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const keeper = useRef<HTMLButtonElement>(null);
  const wasAsking = useRef(false);
  const questionId = useId();

  useEffect(() => {
    if (asking) keeper.current?.focus();
    else if (wasAsking.current) opener.current?.focus();
    wasAsking.current = asking;
  }, [asking]);

  if (!asking) {
    return (
      <button ref={opener} type="button" className="button slim" aria-label={label} aria-disabled={busy} onClick={() => !busy && (straight ? straight() : setAsking(true))}>
        {children}
      </button>
    );
  }
  return (
    <span
      className="confirm"
      role="group"
      aria-labelledby={questionId}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        setAsking(false);
      }}
    >
      <span id={questionId}>{question}</span>
      <button ref={keeper} type="button" className="button slim" aria-describedby={questionId} onClick={() => setAsking(false)}>
        {no}
      </button>
      {between && (
        <button
          type="button"
          className="button slim"
          aria-describedby={questionId}
          onClick={() => {
            setAsking(false);
            between.run();
          }}
        >
          {between.word}
        </button>
      )}
      <button
        type="button"
        className="button slim danger"
        aria-describedby={questionId}
        onClick={() => {
          setAsking(false);
          onYes();
        }}
      >
        {yes}
      </button>
    </span>
  );
}
