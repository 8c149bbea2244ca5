/*
 * The tree that a conversation's messages form, and the one path through it that is shown.
 * Promises: pure; messages keep their order of creation; a message whose parent is missing counts as a beginning; where
 * nobody chose among siblings, the one that leads to the newest message is shown.
 * Does not cover: fetching, streaming, drawing.
 */
import type { Message } from "../wire/contract";

/** Which child is shown under a parent (`""` for the beginning), where a person chose. */
export type Choices = ReadonlyMap<string, string>;

export interface Shown {
  message: Message;
  /** Ids of the message's siblings, itself among them, oldest first. */
  siblings: readonly string[];
}

const ROOT = "";

function childrenOf(messages: readonly Message[]): Map<string, Message[]> {
  const known = new Set(messages.map((message) => message.id));
  const children = new Map<string, Message[]>();
  for (const message of messages) {
    const parent = message.parent_id !== null && known.has(message.parent_id) ? message.parent_id : ROOT;
    const siblings = children.get(parent);
    if (siblings) siblings.push(message);
    else children.set(parent, [message]);
  }
  return children;
}

/** For each message, the place in creation order of the newest message at or below it. */
function newestBelow(messages: readonly Message[]): Map<string, number> {
  const place = new Map(messages.map((message, index) => [message.id, index]));
  const newest = new Map(place);
  // Children come after their parents, so going backwards carries each value all the way up.
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (!message || message.parent_id === null) continue;
    const above = newest.get(message.parent_id);
    const below = newest.get(message.id) ?? index;
    if (above !== undefined && above < below) newest.set(message.parent_id, below);
  }
  return newest;
}

/** The messages from the beginning to the leaf that is shown. */
export function shownPath(messages: readonly Message[], choices: Choices): Shown[] {
  const children = childrenOf(messages);
  const newest = newestBelow(messages);
  const path: Shown[] = [];
  const seen = new Set<string>();
  let parent = ROOT;
  for (;;) {
    const siblings = children.get(parent);
    if (!siblings) return path;
    const chosen = choices.get(parent);
    let next = siblings.find((message) => message.id === chosen);
    next ??= siblings.reduce((best, other) =>
      (newest.get(other.id) ?? 0) > (newest.get(best.id) ?? 0) ? other : best,
    );
    if (seen.has(next.id)) return path;
    seen.add(next.id);
    path.push({ message: next, siblings: siblings.map((message) => message.id) });
    parent = next.id;
  }
}

/** A choice of one message among its siblings. */
export function choose(choices: Choices, message: Message): Choices {
  return new Map(choices).set(message.parent_id ?? ROOT, message.id);
}

/** Choices such that the path leads through this message: used when a new one comes. */
export function leadTo(choices: Choices, messages: readonly Message[], id: string): Choices {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const next = new Map(choices);
  let message = byId.get(id);
  for (let steps = 0; message && steps <= messages.length; steps++) {
    next.set(message.parent_id !== null && byId.has(message.parent_id) ? message.parent_id : ROOT, message.id);
    message = message.parent_id === null ? undefined : byId.get(message.parent_id);
  }
  return next;
}

/** The sibling so many places further on, or null at the end. */
export function siblingAt(shown: Shown, step: -1 | 1): string | null {
  const index = shown.siblings.indexOf(shown.message.id);
  return shown.siblings[index + step] ?? null;
}

/** Puts a message in its place: over the one with its id, else at the end. */
export function withMessage(messages: readonly Message[], message: Message): Message[] {
  const index = messages.findIndex((other) => other.id === message.id);
  return index < 0 ? [...messages, message] : messages.with(index, message);
}
