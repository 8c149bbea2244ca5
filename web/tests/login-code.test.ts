/*
 * Login codes, in the address and as pasted; and the conversation in the address.
 */
import { describe, expect, it } from "vitest";
import { conversationInFragment } from "../src/conversation/route";
import { codeInFragment, codeInText } from "../src/session/login-code";

describe("codeInFragment", () => {
  it("finds the code", () => {
    expect(codeInFragment("#login=aB3-_x")).toBe("aB3-_x");
    expect(codeInFragment("#/login=abcd")).toBe("abcd");
    expect(codeInFragment("#login=a%2Bb")).toBe("a+b");
  });

  it.each(["", "#", "#/", "#/c/login", "#login=", "#logins=x"])("finds none in %j", (fragment) => {
    expect(codeInFragment(fragment)).toBeNull();
  });
});

describe("codeInText", () => {
  it.each([
    ["http://127.0.0.1:7373/#login=Code-123", "Code-123"],
    ["  http://localhost:7373/#login=Code-123\n", "Code-123"],
    ['"http://127.0.0.1:7373/#login=Code-123"', "Code-123"],
    ["Open http://127.0.0.1:7373/#login=Code-123 in a browser", "Code-123"],
    ["#login=Code-123", "Code-123"],
    ["login=Code-123", "Code-123"],
    ["Code-123", "Code-123"],
  ])("finds the code in %j", (text, code) => {
    expect(codeInText(text)).toBe(code);
  });

  it.each(["", "  ", "two words", "http://127.0.0.1:7373/", "a/b"])("finds none in %j", (text) => {
    expect(codeInText(text)).toBeNull();
  });
});

describe("conversationInFragment", () => {
  it("reads an id", () => {
    expect(conversationInFragment("#/c/abc-1")).toBe("abc-1");
    expect(conversationInFragment("#/c/a%20b")).toBe("a b");
  });

  it.each(["", "#/", "#/c/", "#/c/a/b", "#login=x", "#/c/%E0%A4%A"])("reads none in %j", (fragment) => {
    expect(conversationInFragment(fragment)).toBeNull();
  });
});
