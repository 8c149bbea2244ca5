/*
 * The models page as it is drawn: no dead buttons, a word beside each colour, a name for each control.
 */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeEach, describe, expect, it } from "vitest";
import { Desk } from "../src/conversation/desk";
import { CatalogueRow } from "../src/models/catalogue";
import { DownloadRow } from "../src/models/downloads";
import { DiskUse, InstalledRow } from "../src/models/installed";
import { ProposalBox } from "../src/models/proposal";
import { Roles } from "../src/models/roles";
import { Shelf } from "../src/models/shelf";
import type { Model } from "../src/wire/contract";
import { asDownload, asFound, asProposal } from "../src/wire/models";
import { DOWNLOAD, PROPOSAL, ROW } from "./samples";

let shelf: Shelf;

beforeEach(() => {
  shelf = new Shelf(new Desk());
});

const draw = (node: ReactNode): string => renderToStaticMarkup(node);
/** The names of all buttons, as a screen reader says them. */
const buttons = (html: string): string[] =>
  [...html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)].map(
    ([, attributes = "", inside = ""]) => /aria-label="([^"]*)"/.exec(attributes)?.[1] ?? inside.replace(/<[^>]*>/g, "").trim(),
  );

const MODEL: Model = {
  name: "qwen3-4b",
  source: "pulled",
  size_bytes: 2_500_000_000,
  architecture: "qwen3",
  parameters: 4_020_000_000,
  quantization: "Q4_K",
  context_length: 40960,
  description: null,
  resident: true,
  kind: "chat",
  pinned: false,
  digest: "abc",
  origin: "hf:Qwen/Qwen3-4B-GGUF:Q4_K_M",
  files: [{ role: "model", name: "qwen3-4b.gguf", digest: "abc", size_bytes: 2_500_000_000 }],
};

const installedRow = (changes: Partial<Model>, roles: string[] = []): string =>
  draw(createElement(InstalledRow, { shelf, model: { ...MODEL, ...changes }, roles }));

describe("an installed model", () => {
  it("says what one chooses by, its roles, and that it is in memory", () => {
    const html = installedRow({}, ["main", "rlm"]);
    for (const word of ["4 B parameters", "Q4_K", "2.5 GB", "chat", "in memory", "Main", "Reader", "hf:Qwen/Qwen3-4B-GGUF:Q4_K_M", "abc"]) expect(html).toContain(word);
    expect(buttons(html)).toEqual(["Verify qwen3-4b", "Keep qwen3-4b pinned", "Remove qwen3-4b"]);
  });

  it("has no button that could do nothing", () => {
    expect(buttons(installedRow({ source: "built-in" }))).toEqual(["Verify qwen3-4b"]);
    expect(buttons(installedRow({ pinned: true }))).toEqual(["Verify qwen3-4b", "Keep qwen3-4b pinned"]);
    expect(installedRow({ pinned: true })).toContain('aria-pressed="true"');
    expect(installedRow({ resident: false })).not.toMatch(/in memory|[Ll]oad/);
  });
});

const row = (changes: object): string => draw(createElement(CatalogueRow, { shelf, row: asFound({ ...ROW, ...changes }), downloads: [] }));

describe("a row of the catalogue", () => {
  it.each([
    ["gpu", "Fits the GPU"],
    ["partly", "Partly on the GPU"],
    ["cpu", "Fits, on the processor"],
    ["tight", "Tight"],
    ["no", "Too large"],
    ["later", "Not known"],
  ])("%s has a word", (fits, words) => {
    const html = row({ offers: [], fits, why: "Because of the memory." });
    expect(html).toContain(`data-fits="${words === "Not known" ? "unknown" : fits}">${words}<`);
    expect(html).toContain("Because of the memory.");
  });

  it("offers its quantizations and gets the one that fits best", () => {
    const html = row({});
    expect(html).toMatch(/<option[^>]*value="Q4_K_M"[^>]*selected[^>]*>|<option[^>]*selected[^>]*value="Q4_K_M"/);
    expect(html).toContain('aria-label="Quantization of qwen3-4b"');
    expect(buttons(html)).toEqual(["Get qwen3-4b Q4_K_M"]);
  });

  it("has no button for what is here or cannot run", () => {
    expect(buttons(row({ installed_as: ["qwen3-4b"] }))).toEqual([]);
    expect(row({ installed_as: ["qwen3-4b"] })).toContain(">here<");
    const refused = row({ offers: [{ ...ROW.offers[0], refused: "The engine cannot read it.", fits: "no", why: "The engine cannot read it." }] });
    expect(buttons(refused)).toEqual([]);
    expect(refused).toContain("The engine cannot read it.");
    expect(row({ offers: [] })).not.toMatch(/<button|<select/);
  });

  it("gets another quantization beside the one that is here", () => {
    const html = row({ installed_as: ["qwen3-4b"], quantization: "Q8_0" });
    expect(buttons(html)).toEqual(["Get qwen3-4b Q8_0"]);
    expect(buttons(row({ installed_as: ["qwen3-4b", "qwen3-4b-q8_0"], quantization: "Q8_0" }))).toEqual([]);
    expect(row({ installed_as: ["qwen3-4b-q8_0"] })).toContain("here as qwen3-4b-q8_0");
  });

  it("shows a download of it in the button's place", () => {
    const html = draw(createElement(CatalogueRow, { shelf, row: asFound(ROW), downloads: [asDownload({ ...DOWNLOAD, target: "qwen3-4b-q8_0" }), asDownload({ ...DOWNLOAD, target: "qwen3-4b" })] }));
    expect(html).toContain("Downloading · 25 %");
    expect(html).toContain('aria-disabled="true"');
  });
});

const downloadRow = (changes: object): string => draw(createElement(DownloadRow, { shelf, download: asDownload({ ...DOWNLOAD, ...changes }) }));

describe("a download", () => {
  it.each<[object, string[]]>([
    [{}, ["Pause: repo", "Cancel the download of repo"]],
    [{ state: "queued" }, ["Pause: repo", "Cancel the download of repo"]],
    [{ state: "paused" }, ["Resume: repo", "Cancel the download of repo"]],
    [{ state: "failed" }, ["Try again: repo", "Put away the download of repo"]],
  ])("%j", (changes, names) => expect(buttons(downloadRow(changes))).toEqual(names));

  it("has a bar with a name and a value, or none while the end is not known", () => {
    expect(downloadRow({})).toMatch(/<progress[^>]*aria-label="repo: Downloading"[^>]*value="25"/);
    expect(downloadRow({ total_bytes: null })).not.toMatch(/<progress[^>]*value=/);
    expect(downloadRow({ total_bytes: null, state: "paused" }), "a paused one does not move").toMatch(/<progress[^>]*value="0"/);
  });

  it("says what failed and what to do", () => {
    const html = downloadRow({ state: "failed", error: { code: "no_space", message: "The disk is full.", next_step: "Remove a model." } });
    expect(html).toMatch(/role="alert".*The disk is full\..*Remove a model\./s);
  });
});

describe("the proposal", () => {
  it("asks before anybody outside is asked", () => {
    shelf.proposal.set(asProposal({ ...PROPOSAL, reach: {} }));
    const html = draw(createElement(ProposalBox, { shelf }));
    expect(html).toContain("laptop");
    expect(buttons(html)).toEqual(["Propose models"]);
  });

  it("has one button, with what it costs", () => {
    shelf.proposal.set(asProposal(PROPOSAL));
    const html = draw(createElement(ProposalBox, { shelf }));
    expect(buttons(html)).toEqual(["Get and use these (2.6 GB)"]);
    expect(html).toContain("about 10 tokens/s (5 to 20)");
  });

  it("says who did not answer", () => {
    shelf.proposal.set(asProposal({ ...PROPOSAL, reach: { tried: true, hub_reason: "No route to host." } }));
    expect(draw(createElement(ProposalBox, { shelf }))).toContain("The model hub does not answer: No route to host.");
  });
});

describe("roles and disk", () => {
  it("gives each role a field with its name", () => {
    shelf.desk.models.set({ default: null, models: [MODEL], roles: { main: "qwen3-4b", rlm: "pilot", memory: "pilot", embed: null } });
    const html = draw(createElement(Roles, { shelf }));
    expect([...html.matchAll(/<label class="field"><span>([^<]*)/g)].map(([, name]) => name)).toEqual(["Main", "Reader", "Memory", "Embeddings", "Vision"]);
  });

  it("measures against the quota, else against the disk", () => {
    const bar = (quota_bytes: number): string => draw(createElement(DiskUse, { disk: { used_bytes: 10, quota_bytes, free_bytes: 30 } }));
    expect(bar(20)).toMatch(/max="20" value="10"|value="10"[^>]*max="20"/);
    expect(bar(0)).toMatch(/max="40" value="10"|value="10"[^>]*max="40"/);
  });
});
