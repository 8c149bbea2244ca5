/*
 * The keys of the page: what they do, and the list that shows them.
 * Promises: no plain letter acts while one writes; a key that something nearer has used does nothing here.
 * Does not cover: keys inside menus and fields; these see to their own.
 */
import { useEffect, useRef } from "react";
import { Icon } from "./icons";

const APPLE = /Mac|iPhone|iPad/.test(navigator.userAgent);
const MOD = APPLE ? "⌘" : "Ctrl";

const KEYS: [string[], string][] = [
  [["Enter"], "Send"],
  [["Shift", "Enter"], "New line"],
  [["Esc"], "Stop the answer, or the agent"],
  [[MOD, "K"], "Search conversations"],
  [[MOD, "Shift", "O"], "New conversation"],
  [[MOD, "Shift", "L"], "Models"],
  [[MOD, "Shift", "M"], "Machine"],
  [[MOD, "Shift", "F"], "Knowledge"],
  [[MOD, "Shift", "E"], "Agents"],
  [["/"], "Search the knowledge, on its page"],
  [["?"], "Show this list"],
];

export interface KeyActions {
  search: () => void;
  begin: () => void;
  models: () => void;
  machine: () => void;
  knowledge: () => void;
  agents: () => void;
  stop: () => void;
  help: () => void;
}

const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable=true]");

export function useShortcuts(actions: KeyActions): void {
  const newest = useRef(actions);
  useEffect(() => {
    newest.current = actions;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
      const mod = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      const act = (run: () => void): void => {
        event.preventDefault();
        run();
      };
      if (mod && !event.shiftKey && !event.altKey && key === "k") act(newest.current.search);
      else if (mod && event.shiftKey && !event.altKey && key === "o") act(newest.current.begin);
      else if (mod && event.shiftKey && !event.altKey && key === "l") act(newest.current.models);
      else if (mod && event.shiftKey && !event.altKey && key === "m") act(newest.current.machine);
      else if (mod && event.shiftKey && !event.altKey && key === "f") act(newest.current.knowledge);
      else if (mod && event.shiftKey && !event.altKey && key === "e") act(newest.current.agents);
      else if (key === "escape") newest.current.stop();
      else if (event.key === "?" && !mod && !isField(event.target)) act(newest.current.help);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

export function ShortcutList({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="shortcuts-title"
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && dialog.current?.close()}
    >
      <div className="dialog-inside">
        <header>
          <h2 id="shortcuts-title">Keyboard shortcuts</h2>
          <button type="button" className="icon-button" aria-label="Close" onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        <dl className="keys">
          {KEYS.map(([keys, what]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
