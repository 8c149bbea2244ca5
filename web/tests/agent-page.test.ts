/*
 * Agents as they are drawn: in the thread and on their page. Nothing of a model or a tool is markup; each control has its name.
 */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { Agents } from "../src/agent/agents";
import { AskCard } from "../src/agent/ask";
import { RunFollower } from "../src/agent/follower";
import { RunRow, ToolRow } from "../src/agent/page";
import { RunSteps } from "../src/agent/run";
import { NOTHING_YET, withStep, type CallRow } from "../src/agent/steps";
import { asRun, asStep, asTool } from "../src/wire/agent";
import { ASKING, RUN, SHOWN, STEPS, TOOL } from "./agent-samples";

const draw = (node: ReactNode): string => renderToStaticMarkup(node);
const plain = (html: string): string => html.replaceAll("&quot;", '"').replaceAll("&#x27;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const text = (html: string): string => plain(html.replace(/<[^>]*>/g, " ").replace(/\s+/g, " "));
const buttons = (html: string): string[] =>
  [...html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)].map(([, attributes = "", inside = ""]) => /aria-label="([^"]*)"/.exec(attributes)?.[1] ?? inside.replace(/<[^>]*>/g, "").trim());

function steps(given: readonly unknown[], live: boolean): string {
  const follower = new RunFollower("r1", () => undefined, () => undefined);
  follower.view.set(given.map((step) => asStep(step as Record<string, unknown>)).reduce(withStep, NOTHING_YET));
  return draw(createElement(RunSteps, { follower, live }));
}

describe("the steps of a run", () => {
  it("say what was called with what, and what came of it", () => {
    const html = steps(STEPS, false);
    for (const words of ["Show its steps", "1 call · 39 tokens", "calculate", "expression", "17*23", "done, 0.50 s", "391"]) expect(text(html)).toContain(words);
    expect(html).toContain('aria-label="What the agent does"');
    expect(html, "over: folded").not.toMatch(/<details[^>]* open/);
  });

  it("draw nothing of a model as markup", () => {
    expect(steps(STEPS, true)).not.toContain("<b>add</b>");
    expect(text(steps(STEPS, true))).toContain("I will < b>add</ b>.".replaceAll("< b>", "<b>").replaceAll("</ b>", "</b>"));
  });

  it("have what a person must decide outside of what folds", () => {
    const html = steps(ASKING, true);
    expect(html.slice(html.lastIndexOf("</details>"))).toContain("May it do exactly this?");
    expect(buttons(html)).toEqual(["No", "Yes, do this"]);
    expect(steps(ASKING, false), "a run that is over asks nothing").not.toContain("May it do");
  });

  it("say what it does at the moment", () => {
    expect(text(steps([], true))).toContain("Beginning …");
    expect(text(steps(STEPS.slice(0, 2), true))).toContain("Thinking …");
    expect(text(steps(STEPS.slice(0, 4), true))).toContain("Calling calculate …");
  });

  it("say aloud that nobody knows whether something was done", () => {
    const html = steps([...STEPS.slice(0, 4), { ...STEPS[4], status: "unknown", code: "effect_unknown" }], false);
    expect(html).toMatch(/role="alert"[^>]*>[^<]*Nobody knows whether it was done/);
  });

  it("fold a long result", () => {
    const html = steps([...STEPS.slice(0, 4), { ...STEPS[4], text: "x".repeat(1000), handle: "step:r1:4", size: 2_000_000 }], false);
    expect(html).toContain('aria-label="The whole result of calculate"');
    expect(text(html)).toContain("2.0 MB in all");
  });
});

describe("a question", () => {
  const row = (asked: object): CallRow => {
    const view = [...ASKING.slice(0, 2), { ...ASKING[2], ...asked }].map((step) => asStep(step as Record<string, unknown>)).reduce(withStep, NOTHING_YET);
    return view.rows.at(-1) as CallRow;
  };

  it("of leave shows exactly what is to be done", () => {
    const html = draw(createElement(AskCard, { row: row({}), decide: () => undefined }));
    expect(plain(/<pre[^>]*>(.*?)<\/pre>/s.exec(html)?.[1] ?? "")).toBe(SHOWN);
    expect(html).not.toContain("<script>");
    expect(html).not.toContain("autofocus");
  });

  it("of the agent has a field for the answer", () => {
    const html = draw(createElement(AskCard, { row: row({ approval: "", shown: "Which colour?" }), decide: () => undefined }));
    expect(text(html)).toContain("It asks you Which colour? Your answer");
    expect(html).toContain("<textarea");
    expect(buttons(html)).toEqual(["Answer"]);
  });
});

describe("the page of agents", () => {
  const run = (changes: object = {}): string => draw(createElement(RunRow, { agents: new Agents(), run: asRun({ ...RUN, ...changes }) }));

  it("has what fits a run's state", () => {
    expect(buttons(run())).toEqual(["Open the conversation of: add 17 and 23", "Steps of: add 17 and 23", "Stop: add 17 and 23", "Remove: add 17 and 23"]);
    expect(buttons(run({ state: "interrupted", conversation: "" }))).toEqual(["Steps of: add 17 and 23", "Go on with: add 17 and 23", "Remove: add 17 and 23"]);
    expect(text(run({ state: "ended", ending: "answered", answer: "<i>391</i>" }))).toContain("Answered");
    expect(run({ state: "ended", answer: "<i>391</i>" })).not.toContain("<i>391");
  });

  it("says of a tool whether it may, what it reaches, and the command that changes it", () => {
    const tool = (changes: object = {}): string => draw(createElement(ToolRow, { tool: asTool({ ...TOOL, ...changes }) }));
    for (const words of ["write_file", "writes", "Asks every time", "Reaches its own folder and /home/me/notes."]) expect(text(tool())).toContain(words);
    expect(buttons(tool())).toEqual(["Take write_file back"]);
    const denied = tool({ granted: false, grant: null, why_not: "It is not granted." });
    expect(text(denied)).toContain("Not allowed");
    expect(text(denied)).toContain("It is not granted.");
    expect(buttons(denied)).toEqual(["Grant write_file"]);
  });
});
