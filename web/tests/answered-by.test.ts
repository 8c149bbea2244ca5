/*
 * Who answered: the name that stands under an answer, and who was asked before.
 */
import { describe, expect, it } from "vitest";
import { askedBefore, by } from "../src/thread/message";
import type { Message } from "../src/wire/contract";

const answer = (failed: { name: string; code: string }[]): Message => ({ answered_by: { name: "pilot", failed } }) as Message;

describe("who answered", () => {
  it("names the one that was asked for, and the one that answered for it", () => {
    expect(by("pilot", undefined)).toBe("pilot");
    expect(by("pilot", "pilot")).toBe("pilot");
    expect(by("smart", "vllm/m")).toBe("vllm/m for smart");
  });

  it("says who was asked before", () => {
    expect(askedBefore({} as Message)).toBeUndefined();
    expect(askedBefore(answer([]))).toBeUndefined();
    expect(askedBefore(answer([{ name: "one/m", code: "engine_died" }]))).toBe("Asked before: one/m (engine_died)");
  });
});
