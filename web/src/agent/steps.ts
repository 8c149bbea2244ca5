/*
 * The steps of a run as the page shows them: a call with everything that came of it is one row, whatever came between.
 * Promises: pure; a step that is known already changes nothing, so a stream may be taken up where it was left, or before; a kind
 * that nobody knows is passed over. Does not cover: fetching (follower.ts), drawing (run.tsx).
 */
import type { Step } from "../wire/agent";
import type { Raw } from "../wire/models";

export interface Asked {
  /** "": the agent wants an answer, not leave. */
  approval: string;
  /** The effect as it is, or the question. */
  shown: string;
  reason: string;
}

export interface Returned {
  status: string;
  text: string;
  code: string;
  handle: string;
  size: number;
  seconds: number;
}

export interface CallRow {
  kind: "call";
  n: number;
  call: string;
  tool: string;
  arguments: string;
  by: string;
  asked: Asked | null;
  decided: { yes: boolean; text: string } | null;
  begun: boolean;
  returned: Returned | null;
}

export interface TextRow {
  kind: "ordered" | "thought" | "repaired" | "told" | "summarised";
  n: number;
  text: string;
}

export type Row = CallRow | TextRow;

export interface RunView {
  rows: readonly Row[];
  /** The number of the step that comes next. */
  next: number;
  tokens: number;
  /** When the first and the last step were recorded; 0: none yet. */
  began: number;
  last: number;
  ended: { why: string; text: string } | null;
}

export const NOTHING_YET: RunView = { rows: [], next: 0, tokens: 0, began: 0, last: 0, ended: null };

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/** The view with one step more. */
export function withStep(view: RunView, step: Step): RunView {
  if (step.n < view.next) return view;
  const { body } = step;
  const tokens = view.tokens + number(body["tokens_in"]) + number(body["tokens_out"]);
  const after = { ...view, next: step.n + 1, tokens, began: view.began || step.at, last: step.at };
  switch (step.kind) {
    case "ordered":
    case "thought":
    case "told":
      return added(after, { kind: step.kind, n: step.n, text: text(body["text"]) });
    case "repaired":
      return added(after, { kind: "repaired", n: step.n, text: text(body["problem"]) });
    case "summarised":
      return added(after, { kind: "summarised", n: step.n, text: text(body["text"]) });
    case "called":
      return added(after, {
        kind: "call",
        n: step.n,
        call: text(body["call"]),
        tool: text(body["tool"]),
        arguments: text(body["arguments"]),
        by: text(body["by"]),
        asked: null,
        decided: null,
        begun: false,
        returned: null,
      });
    // A question may be put anew, when its time is over or after a crash.
    case "asked":
      return changed(after, body, { asked: { approval: text(body["approval"]), shown: text(body["shown"]), reason: text(body["reason"]) }, decided: null });
    case "decided":
      return changed(after, body, { decided: { yes: body["yes"] === true, text: text(body["text"]) } });
    case "begun":
      return changed(after, body, { begun: true });
    case "returned":
      return changed(after, body, {
        returned: {
          status: text(body["status"]),
          text: text(body["text"]),
          code: text(body["code"]),
          handle: text(body["handle"]),
          size: number(body["size"]),
          seconds: number(body["seconds"]),
        },
      });
    case "ended":
      return { ...after, ended: { why: text(body["why"]), text: text(body["text"]) } };
    default:
      return after;
  }
}

const added = (view: RunView, row: Row): RunView => ({ ...view, rows: [...view.rows, row] });

/** The newest row of that call: an id is given once, but what a stream says is not trusted to keep to it. */
function changed(view: RunView, body: Raw, changes: Partial<CallRow>): RunView {
  const at = view.rows.findLastIndex((row) => row.kind === "call" && row.call === body["call"]);
  const row = view.rows[at];
  return row?.kind === "call" ? { ...view, rows: view.rows.with(at, { ...row, ...changes }) } : view;
}

/** Calls that a person has to decide about, or questions to answer. */
export const waiting = (view: RunView): CallRow[] =>
  view.ended ? [] : view.rows.filter((row): row is CallRow => row.kind === "call" && row.asked !== null && row.decided === null && row.returned === null);

/** A call's arguments, one a line, as they are read. What is no JSON stands as it is. */
export function argumentLines(json: string): [string, string][] {
  try {
    const found: unknown = JSON.parse(json);
    if (typeof found !== "object" || found === null || Array.isArray(found)) return [["", json]];
    return Object.entries(found).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  } catch {
    return json === "" ? [] : [["", json]];
  }
}
