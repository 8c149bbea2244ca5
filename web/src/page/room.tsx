/*
 * The frame of a page beside the conversations: its title, the way to the drawer on a phone, the region that has the focus.
 * Promises: whoever comes finds the focus on it, so that keys scroll and a screen reader names it; `look` hears true while it is looked at and false when it is not, or is left.
 * Does not cover: what is in it, the address and the way in (route.ts, sidebar.tsx).
 */
import { type ReactNode, useEffect } from "react";
import { Icon } from "./icons";

/** `name` begins the ids of its parts (`name-main`, `name-title`) and, but for "models", is a class of its region: `name-page`. */
export function Room({ name, title, onMenu, look, children }: { name: string; title: string; onMenu: () => void; look: (seen: boolean) => void; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Homefire`;
    document.getElementById(`${name}-main`)?.focus();
  }, [name, title]);

  useEffect(() => {
    const seen = (): void => look(document.visibilityState === "visible");
    seen();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      look(false);
    };
  }, [look]);

  return (
    <>
      <header className="head">
        <button type="button" id="menu-button" className="icon-button drawer-only" aria-label="Open the conversations" onClick={onMenu}>
          <Icon name="menu" />
        </button>
        <h1 className="head-title" id={`${name}-title`}>
          {title}
        </h1>
      </header>
      <div className={name === "models" ? "models-page" : `models-page ${name}-page`} id={`${name}-main`} role="region" aria-labelledby={`${name}-title`} tabIndex={-1}>
        {children}
      </div>
    </>
  );
}
