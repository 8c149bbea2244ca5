/*
 * The tree of messages and the path that is shown.
 */
import { describe, expect, it } from "vitest";
import { choose, leadTo, shownPath, siblingAt, withMessage, type Choices } from "../src/conversation/tree";
import type { Message } from "../src/wire/contract";

const NONE: Choices = new Map();

const message = (id: string, parent: string | null, role: "user" | "assistant" = "user"): Message => ({
  id,
  parent_id: parent,
  role,
  content: id,
  state: "complete",
  error: null,
  created_at: 0,
  usage: null,
  timings: null,
});

/** q1 -> (a1, a2); a1 -> q2 -> a3; another beginning q0. */
const MESSAGES = [
  message("q1", null),
  message("a1", "q1", "assistant"),
  message("q2", "a1"),
  message("a3", "q2", "assistant"),
  message("a2", "q1", "assistant"),
];

const ids = (messages: Message[], choices: Choices = NONE): string[] =>
  shownPath(messages, choices).map((shown) => shown.message.id);

const find = (id: string): Message => {
  const found = MESSAGES.find((other) => other.id === id);
  if (!found) throw new Error(id);
  return found;
};

describe("shownPath", () => {
  it("is empty for nothing", () => {
    expect(ids([])).toEqual([]);
  });

  it("leads to the newest message where nobody chose", () => {
    expect(ids(MESSAGES)).toEqual(["q1", "a2"]);
    expect(ids(MESSAGES.slice(0, 4))).toEqual(["q1", "a1", "q2", "a3"]);
  });

  it("follows a choice, and below it the newest again", () => {
    expect(ids(MESSAGES, choose(NONE, find("a1")))).toEqual(["q1", "a1", "q2", "a3"]);
  });

  it("tells each message's siblings, oldest first", () => {
    const answer = shownPath(MESSAGES, NONE)[1];
    expect(answer?.siblings).toEqual(["a1", "a2"]);
    expect(answer && siblingAt(answer, -1)).toBe("a1");
    expect(answer && siblingAt(answer, 1)).toBeNull();
  });

  it("takes two beginnings as siblings", () => {
    const both = [...MESSAGES, message("q9", null)];
    expect(ids(both)).toEqual(["q9"]);
    expect(shownPath(both, NONE)[0]?.siblings).toEqual(["q1", "q9"]);
    expect(ids(both, choose(NONE, find("q1")))).toEqual(["q1", "a2"]);
  });

  it("takes a message whose parent is missing as a beginning", () => {
    expect(ids([message("lost", "nowhere"), message("a", "lost", "assistant")])).toEqual(["lost", "a"]);
  });

  it("ends on a circle instead of going round", () => {
    expect(ids([message("a", "b"), message("b", "a")])).toEqual([]);
  });

  it("forgets a choice whose message is gone", () => {
    expect(ids(MESSAGES, new Map([["q1", "deleted"]]))).toEqual(["q1", "a2"]);
  });
});

describe("leadTo", () => {
  it("turns every choice on the way", () => {
    const elsewhere = choose(choose(NONE, find("a2")), message("q9", null));
    expect(ids(MESSAGES, leadTo(elsewhere, MESSAGES, "a3"))).toEqual(["q1", "a1", "q2", "a3"]);
  });

  it("shows a new answer beside the one that was chosen", () => {
    const chosen = choose(NONE, find("a1"));
    const more = [...MESSAGES, message("a4", "q1", "assistant")];
    expect(ids(more, leadTo(chosen, more, "a4"))).toEqual(["q1", "a4"]);
  });
});

describe("withMessage", () => {
  it("puts a message over the one with its id, else at the end", () => {
    const changed = { ...find("a1"), content: "new" };
    expect(withMessage(MESSAGES, changed)[1]).toBe(changed);
    expect(withMessage(MESSAGES, message("x", null)).at(-1)?.id).toBe("x");
    expect(MESSAGES[1]?.content).toBe("a1");
  });
});

describe("a deep conversation", () => {
  it("is walked in a moment", () => {
    const many = Array.from({ length: 4000 }, (_, index) => message(`m${index}`, index === 0 ? null : `m${index - 1}`));
    const began = performance.now();
    expect(shownPath(many, NONE)).toHaveLength(4000);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
