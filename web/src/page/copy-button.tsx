/*
 * A button that copies a text and says that it did.
 * Promises: works without the clipboard's permission too (an older way is the second try).
 * Does not cover: copying anything but plain text.
 */
import { useEffect, useState } from "react";
import { Icon } from "./icons";

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}

export function CopyButton({ label, text, wide = false }: { label: string; text: () => string; wide?: boolean }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button"
      className={wide ? "button" : "icon-button small"}
      aria-label={done ? "Copied" : label}
      title={done ? "Copied" : label}
      onClick={() => void copy(text()).then(setDone)}
    >
      <Icon name={done ? "check" : "copy"} />
      {wide && <span>{done ? "Copied" : "Copy"}</span>}
    </button>
  );
}
