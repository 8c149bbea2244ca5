/*
 * A button that opens a small panel below it.
 * Promises: opening moves the focus in; Escape, a click outside and leaving by Tab close it; closing by Escape or by choosing
 * returns the focus to the button. Does not cover: trapping the focus; a panel is not a dialog.
 */
import { useEffect, useId, useRef, useState, type ReactNode } from "react";

interface Props {
  label: string;
  className: string;
  button: ReactNode;
  panelRole: "menu" | "dialog";
  panelLabel: string;
  children: (close: () => void) => ReactNode;
}

export function Popover({ label, className, button, panelRole, panelLabel, children }: Props) {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const panelId = useId();

  const close = (): void => {
    setOpen(false);
    opener.current?.focus();
  };

  useEffect(() => {
    if (!open) return;
    const panel = frame.current?.querySelector<HTMLElement>(".popover-panel");
    const first = panel?.querySelector<HTMLElement>("[aria-checked=true], input, textarea, button, select");
    first?.focus();
    const outside = (event: Event): void => {
      if (!frame.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);

  return (
    <div
      className="popover"
      ref={frame}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.preventDefault();
        close();
      }}
    >
      <button
        ref={opener}
        type="button"
        className={className}
        aria-label={label}
        title={label}
        aria-haspopup={panelRole}
        aria-expanded={open}
        aria-controls={open ? panelId : undefined}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && (
        <div className="popover-panel" id={panelId} role={panelRole} aria-label={panelLabel}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
