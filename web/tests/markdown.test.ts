/*
 * What is decided about Markdown before it is drawn: where a growing text may be cut, and which addresses become links.
 */
import { describe, expect, it } from "vitest";
import { safeAddress } from "../src/thread/address";
import { cutBlocks } from "../src/thread/blocks";

const TEXT = [
  "# Title\n\n",
  "One paragraph\nof two lines.\n\n",
  "- a list\n\n- with a space\n\n  and more of it\n\n",
  "Then code:\n\n",
  "```python\nx = 1\n\n\ny = 2\n```\n\n",
  "1. one\n\n2. two\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
  "The end.",
];

describe("cutBlocks", () => {
  it("cuts between paragraphs and around code, never in a list or a fence", () => {
    expect(cutBlocks(TEXT.join(""))).toEqual([
      TEXT[0],
      `${TEXT[1]}${TEXT[2]}`,
      TEXT[3],
      `${TEXT[4]}${TEXT[5]}`,
      TEXT[6],
    ]);
  });

  it("keeps an open fence whole", () => {
    const open = "````md\n```\n\ninside\n\n```\n\nstill inside";
    expect(cutBlocks(`before\n\n${open}`)).toEqual(["before\n\n", open]);
  });

  it("loses nothing and never changes a block that another follows", () => {
    const whole = TEXT.join("");
    let before: string[] = [];
    for (let end = 0; end <= whole.length; end++) {
      const blocks = cutBlocks(whole.slice(0, end));
      expect(blocks.join("")).toBe(whole.slice(0, end));
      expect(blocks.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
      before = blocks;
    }
  });
});

describe("safeAddress", () => {
  it.each([
    ["https://example.org/a?b#c", "https://example.org/a?b#c"],
    [" HTTP://Example.org", "http://example.org/"],
    ["mailto:a@example.org", "mailto:a@example.org"],
  ])("lets %j through", (address, safe) => expect(safeAddress(address)).toBe(safe));

  it.each([
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "//example.org",
    "/homefire/v1/logout",
    "#login=x",
    "https://",
    "",
  ])("stops %j", (address) => expect(safeAddress(address)).toBeUndefined());
});
