/*
 * Whether the page is as narrow as a phone, and how high it is while a phone's keyboard is open.
 * Promises: the same 720 px as the stylesheet; `--page-height` follows the visible part of the page, where the browser tells
 * (some shrink only that when the keyboard opens). Does not cover: which device it is; nobody asks.
 */
import { useSyncExternalStore } from "react";

const query = matchMedia("(max-width: 720px)");

function watch(changed: () => void): () => void {
  query.addEventListener("change", changed);
  return () => query.removeEventListener("change", changed);
}

export function useNarrow(): boolean {
  return useSyncExternalStore(watch, () => query.matches);
}

export function followKeyboard(): void {
  const visible = window.visualViewport;
  if (!visible || !matchMedia("(pointer: coarse)").matches) return;
  const fit = (): void => {
    // Pinching changes the visible part too, and must not squeeze the page.
    if (visible.scale > 1.01) return;
    document.documentElement.style.setProperty("--page-height", `${visible.height}px`);
    window.scrollTo(0, 0);
  };
  visible.addEventListener("resize", fit);
}
