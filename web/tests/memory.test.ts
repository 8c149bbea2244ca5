/*
 * Memory behind the page and as it is drawn: edits from two places, what is forgotten and brought back, what was found.
 */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeEach, describe, expect, it } from "vitest";
import { Memory } from "../src/agent/memory";
import { BlockRow, FactRow, Found } from "../src/agent/memory-view";
import { toasts } from "../src/page/toasts";
import { asBlock, asFact, asRecalled } from "../src/wire/memory";
import { errorAnswer, StandIn } from "./stand-in";

const BASE = "/homefire/v1/memory";
const BLOCK = { name: "person", text: "Likes <b>tea</b>.", version: 3, most: 2000, at: 1_700_000_000 };
const FACT = {
  id: "f1",
  text: "The boiler is red.",
  sources: [{ kind: "message", place: "m1", words: "our boiler, the red one" }],
  confidence: 0.8,
  at: 1_700_000_000,
  expires_at: null,
  replaced_by: null,
  links: [7],
};

const draw = (node: ReactNode): string => renderToStaticMarkup(node);
const text = (html: string): string => html.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").replaceAll("&lt;", "<").replaceAll("&gt;", ">");

let daemon: StandIn;
let memory: Memory;

beforeEach(() => {
  daemon = new StandIn().on(`GET ${BASE}/blocks`, { blocks: [BLOCK] }).on(`GET ${BASE}/facts`, { facts: [FACT] });
  memory = new Memory();
});

describe("a block", () => {
  it("is edited as the version that was read", async () => {
    daemon.on(`PUT ${BASE}/blocks/person`, { ...BLOCK, text: "Likes coffee.", version: 4 });
    await memory.refresh();
    expect(await memory.edit(asBlock(BLOCK), "Likes coffee.")).toBe(true);
    expect(daemon.bodies(`PUT ${BASE}/blocks/person`)).toEqual([{ version: 3, text: "Likes coffee." }]);
    expect(memory.blocks.get()?.[0]).toMatchObject({ version: 4, text: "Likes coffee." });
  });

  it("that somebody else changed meanwhile is read again, and nothing is overwritten", async () => {
    await memory.refresh();
    daemon.on(`PUT ${BASE}/blocks/person`, errorAnswer("memory_conflict", "It was changed.", "Read it again.", 409));
    daemon.on(`GET ${BASE}/blocks`, { blocks: [{ ...BLOCK, text: "Likes water.", version: 4 }] });
    expect(await memory.edit(asBlock(BLOCK), "Likes coffee.")).toBe(false);
    expect(memory.blocks.get()?.[0]).toMatchObject({ version: 4, text: "Likes water." });
  });

  it("can be brought back to an earlier version", async () => {
    daemon.on(`POST ${BASE}/blocks/person/restore`, { ...BLOCK, version: 5 });
    daemon.on(`GET ${BASE}/blocks/person/versions`, { versions: [{ version: 2, text: "x", at: 1, by: "person" }] });
    await memory.refresh();
    await memory.lookBack("person");
    expect(await memory.restore("person", 2)).toBe(true);
    expect(daemon.bodies(`POST ${BASE}/blocks/person/restore`)).toEqual([{ version: 2 }]);
    expect(memory.versions.get().get("person")).toEqual([{ version: 2, text: "x", at: 1, by: "person" }]);
  });

  it("is drawn as text", () => {
    const html = draw(createElement(BlockRow, { memory, block: asBlock(BLOCK) }));
    expect(html).not.toContain("<b>tea");
    expect(text(html)).toContain("version 3");
    expect(html).toContain('aria-label="Edit person"');
  });
});

describe("a fact", () => {
  it("stands with the words it came from, and with doubt", () => {
    const html = draw(createElement(FactRow, { memory, fact: asFact(FACT) }));
    for (const words of ["The boiler is red.", "our boiler, the red one", "message m1", "80 % sure", "another fact says otherwise"]) expect(text(html)).toContain(words);
    expect(html).toContain('aria-label="Forget: The boiler is red."');
  });

  it("is forgotten, and brought back", async () => {
    daemon.on(`DELETE ${BASE}/facts/f1`, new Response(null, { status: 204 })).on(`POST ${BASE}/facts/f1/restore`, {});
    await memory.refresh();
    await memory.forget(asFact(FACT));
    expect(memory.facts.get()).toEqual([]);
    toasts.get().at(-1)?.action?.run();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(daemon.bodies(`POST ${BASE}/facts/f1/restore`)).toEqual([{}]);
    expect(memory.facts.get()).toHaveLength(1);
  });

  it("that cannot be forgotten stays", async () => {
    daemon.on(`DELETE ${BASE}/facts/f1`, errorAnswer("store_damaged", "Damaged.", "Look.", 500));
    await memory.refresh();
    await memory.forget(asFact(FACT));
    expect(memory.facts.get()).toHaveLength(1);
  });
});

it("what was found leads to its conversation, and nothing is an answer too", async () => {
  daemon.on(`POST ${BASE}/search`, { results: [{ kind: "turn", place: "m1", text: "<i>red</i>", at: 1_700_000_000, thread: "c1" }] });
  await memory.search(" boiler ");
  expect(daemon.bodies(`POST ${BASE}/search`)).toEqual([{ query: "boiler", k: 20 }]);
  const html = draw(createElement(Found, { found: memory.found.get() ?? [] }));
  expect(html).toContain('href="#/c/c1"');
  expect(html).not.toContain("<i>");
  expect(text(draw(createElement(Found, { found: [] })))).toContain("Nothing of that is remembered.");
  expect(asRecalled({})).toEqual({ kind: "", id: "", text: "", at: 0, conversation: "" });
  await memory.search("");
  expect(memory.found.get()).toBeNull();
});
