/*
 * Which conversation the address names: `#/c/ID`, or none (`#/`).
 * Promises: the address is the only place where this is kept, so reload, bookmarks and the browser's back button find it.
 * Does not cover: login codes; session.ts has taken them out before this looks.
 */
import { Cell } from "../cell";

export function conversationInFragment(fragment: string): string | null {
  const match = /^#\/c\/([^/?#]+)$/.exec(fragment);
  if (!match?.[1]) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

export const route = new Cell<string | null>(null);

const fragmentFor = (id: string | null): string => (id === null ? "#/" : `#/c/${encodeURIComponent(id)}`);

export function beginRoute(): void {
  const read = (): void => route.set(conversationInFragment(location.hash));
  read();
  window.addEventListener("hashchange", read);
}

/** Goes to a conversation, or to a new one. `replace`: the step back does not lead to where one is now. */
export function go(id: string | null, replace = false): void {
  if (route.get() === id) return;
  if (replace) history.replaceState(null, "", fragmentFor(id));
  else history.pushState(null, "", fragmentFor(id));
  route.set(id);
}
