/*
 * What a person has to decide: a call to allow or not, or a question of the agent to answer.
 * Promises: shown is exactly what is to be done, every character of it, as the daemon gave it; nothing has the focus by itself, so
 * that a key pressed for something else is no yes; No stands first. Does not cover: telling the daemon (follower.ts).
 */
import { useId, useState } from "react";
import { isSendKey } from "../thread/field";
import type { CallRow } from "./steps";

interface Props {
  row: CallRow;
  decide: (yes: boolean, text?: string) => void;
}

export function AskCard({ row, decide }: Props) {
  const id = useId();
  if (!row.asked) return null;
  return row.asked.approval ? (
    <div className="box ask" role="group" aria-labelledby={id} data-call={row.call}>
      <p id={id} className="ask-title">
        May it do exactly this?
      </p>
      <p className="ask-why">{row.asked.reason}</p>
      <pre className="ask-shown" tabIndex={0} aria-label="What it wants to do">
        {row.asked.shown}
      </pre>
      <p className="ask-buttons">
        <button type="button" className="button" onClick={() => decide(false)}>
          No
        </button>
        <button type="button" className="button primary" onClick={() => decide(true)}>
          Yes, do this
        </button>
      </p>
    </div>
  ) : (
    <Question row={row} shown={row.asked.shown} decide={decide} />
  );
}

function Question({ row, shown, decide }: Props & { shown: string }) {
  const id = useId();
  const [text, setText] = useState("");
  const ready = text.trim() !== "";
  return (
    <form
      className="box ask"
      aria-labelledby={id}
      data-call={row.call}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) decide(true, text.trim());
      }}
    >
      <p id={id} className="ask-title">
        It asks you
      </p>
      <p className="ask-question">{shown}</p>
      <label className="field">
        <span>Your answer</span>
        <textarea
          rows={2}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (!isSendKey(event)) return;
            event.preventDefault();
            if (ready) decide(true, text.trim());
          }}
        />
      </label>
      <p className="ask-buttons">
        <button type="submit" className="button primary" disabled={!ready}>
          Answer
        </button>
      </p>
    </form>
  );
}
