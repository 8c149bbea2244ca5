/*
 * What the address names: a conversation (`#/c/ID`), a new one (`#/`), the models (`#/models`), the machine (`#/machine`),
 * the knowledge (`#/knowledge`), or the agents (`#/agents`).
 * Promises: the address is the only place where this is kept, so reload, bookmarks and the browser's back button find it.
 * Does not cover: login codes; session.ts has taken them out before this looks.
 */
import { Cell } from "../cell";

export type Room = "conversations" | "models" | "machine" | "knowledge" | "agents";

export function conversationInFragment(fragment: string): string | null {
  const match = /^#\/c\/([^/?#]+)$/.exec(fragment);
  if (!match?.[1]) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

export function roomInFragment(fragment: string): Room {
  const match = /^#\/(models|machine|knowledge|agents)\/?$/.exec(fragment);
  return match ? (match[1] as Room) : "conversations";
}

/** The conversation that is shown; `null`: a new one, or another room. */
export const route = new Cell<string | null>(null);
export const room = new Cell<Room>("conversations");

const fragmentFor = (id: string | null): string => (id === null ? "#/" : `#/c/${encodeURIComponent(id)}`);

export function beginRoute(): void {
  const read = (): void => {
    room.set(roomInFragment(location.hash));
    route.set(conversationInFragment(location.hash));
  };
  read();
  window.addEventListener("hashchange", read);
}

/** Goes to a conversation, or to a new one. `replace`: the step back does not lead to where one is now. */
export function go(id: string | null, replace = false): void {
  if (room.get() === "conversations" && route.get() === id) return;
  if (replace) history.replaceState(null, "", fragmentFor(id));
  else history.pushState(null, "", fragmentFor(id));
  room.set("conversations");
  route.set(id);
}

function goTo(next: Exclude<Room, "conversations">): void {
  if (room.get() === next) return;
  history.pushState(null, "", `#/${next}`);
  room.set(next);
  route.set(null);
}

export const goToModels = (): void => goTo("models");
export const goToMachine = (): void => goTo("machine");
export const goToKnowledge = (): void => goTo("knowledge");
export const goToAgents = (): void => goTo("agents");
