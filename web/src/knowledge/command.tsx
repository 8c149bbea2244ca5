/*
 * A command to copy, and a button that shows one: what no page may do is done on the command line.
 * Promises: the command stands whole, wraps on a phone and is copied as it stands; the button says what it would do and what of it
 * cannot be undone; Escape closes it and gives the focus back. Does not cover: running it.
 */
import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { CopyButton } from "../page/copy-button";

export function Command({ text }: { text: string }) {
  return (
    <div className="command knowledge-command">
      <code>{text}</code>
      <CopyButton wide label={`Copy: ${text}`} text={() => text} />
    </div>
  );
}

interface Props {
  /** What a screen reader says of the button. */
  label: string;
  /** What stands on it. */
  word: ReactNode;
  command: string;
  /** What it does and what is lost. */
  children: ReactNode;
}

/** Opens below its row: `CommandPanel` holds what it opens. */
export function useCommand({ label, word, command, children }: Props): { button: ReactNode; panel: ReactNode } {
  const [open, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (open) panel.current?.focus();
  }, [open]);
  const close = (): void => {
    setOpen(false);
    opener.current?.focus();
  };
  return {
    button: (
      <button ref={opener} type="button" className="button slim" aria-label={label} aria-expanded={open} aria-controls={open ? id : undefined} onClick={() => setOpen(!open)}>
        {word}
      </button>
    ),
    panel: open && (
      <div
        ref={panel}
        id={id}
        className="box knowledge-panel"
        role="group"
        aria-label={label}
        tabIndex={-1}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          close();
        }}
      >
        {children}
        <p className="quiet">The page may look, not change: what names folders of this machine needs the command line.</p>
        <Command text={command} />
        <button type="button" className="button slim knowledge-close" onClick={close}>
          Close
        </button>
      </div>
    ),
  };
}
