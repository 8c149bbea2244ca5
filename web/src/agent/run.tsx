/*
 * The steps of a run, in the thread above the answer that it becomes.
 * Promises: while it runs each step is seen as it happens, and what a person has to decide stands outside of what can be folded
 * away; once it is over it is one line until somebody wants to see it; everything by keyboard, and nothing that a model or a tool
 * wrote is drawn as anything but text. Does not cover: the answer itself (message.tsx).
 */
import { useEffect, useState } from "react";
import { useCell } from "../cell";
import { AskCard } from "./ask";
import type { RunFollower } from "./follower";
import { argumentLines, waiting, type CallRow, type Row, type RunView } from "./steps";
import { callWords, endingWords, runWords, sizeWords } from "./words";

/** Characters of a result that stand there without being asked for. */
const SHORT = 400;

export function RunSteps({ follower, live }: { follower: RunFollower; live: boolean }) {
  const view = useCell(follower.view);
  const error = useCell(follower.error);
  const telling = useCell(follower.telling);
  const [open, setOpen] = useState(live);
  useEffect(() => {
    if (!live) return;
    follower.follow();
    return () => follower.leave();
  }, [follower, live]);
  const wanted = open && !live && view.next === 0 && error === null;
  useEffect(() => {
    if (wanted) void follower.look();
  }, [wanted, follower]);
  const asks = live ? waiting(view).filter((row) => !telling.has(row.call)) : [];
  return (
    <section className="run" aria-label="What the agent does" data-run={follower.id}>
      <details className="details" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {live ? "Steps" : "Show its steps"}
          {view.next > 0 && <span className="run-words"> {runWords(view)}</span>}
        </summary>
        {error ? (
          <p className="box bad">
            {error.message} {error.next_step}
          </p>
        ) : (
          <Steps view={view} />
        )}
      </details>
      {asks.map((row) => (
        <AskCard key={row.call} row={row} decide={(yes, text) => void follower.decide(row.call, yes, text)} />
      ))}
      {live && asks.length === 0 && <Now follower={follower} view={view} />}
    </section>
  );
}

/** The first order is the message above; later ones were said while it ran. */
function Steps({ view }: { view: RunView }) {
  const rows = view.rows.filter((row) => row.kind !== "ordered" || row.n > 0);
  return (
    <ol className="run-steps">
      {rows.map((row) => (
        <li key={row.n} data-kind={row.kind}>
          {row.kind === "call" ? <Call row={row} /> : <Said row={row} />}
        </li>
      ))}
      {view.ended && view.ended.why !== "answered" && (
        <li data-kind="ended">
          <p className="run-note">
            {endingWords(view.ended.why)}
            {view.ended.text && `: ${view.ended.text}`}
          </p>
        </li>
      )}
    </ol>
  );
}

const SAID: Record<Exclude<Row["kind"], "call">, string> = {
  ordered: "You said",
  thought: "",
  repaired: "Its call could not be used",
  told: "It was told",
  summarised: "What came before, in short",
};

function Said({ row }: { row: Exclude<Row, CallRow> }) {
  if (row.text.trim() === "") return null;
  const before = SAID[row.kind];
  return (
    <p className={row.kind === "thought" ? "run-thought" : "run-note"}>
      {before && <b>{before}: </b>}
      {row.text}
    </p>
  );
}

function Call({ row }: { row: CallRow }) {
  return (
    <div className="run-call" data-status={row.returned?.status ?? "open"}>
      <p className="run-call-head">
        <b>{row.tool}</b>
        <span className="run-call-state">{callWords(row)}</span>
      </p>
      <dl className="run-arguments">
        {argumentLines(row.arguments).map(([name, value], at) => (
          <div key={at}>
            {name && <dt>{name}</dt>}
            <dd>{value.length > SHORT ? `${value.slice(0, SHORT)} …` : value}</dd>
          </div>
        ))}
      </dl>
      {row.decided && <p className="run-note">{row.asked?.approval ? (row.decided.yes ? "You said yes." : "You said no.") : `You answered: ${row.decided.text}`}</p>}
      {row.returned?.status === "unknown" && (
        <p className="box bad" role="alert">
          The daemon ended after this had begun. Nobody knows whether it was done: look, for it is not done again.
        </p>
      )}
      {row.returned && row.returned.text !== "" && <Result text={row.returned.text} size={row.returned.handle ? row.returned.size : 0} of={row.tool} />}
    </div>
  );
}

function Result({ text, size, of }: { text: string; size: number; of: string }) {
  const long = text.length > SHORT;
  return long ? (
    <details className="details">
      <summary aria-label={`The whole result of ${of}`}>
        <span className="run-short">{text.slice(0, 80)} …</span>
        {size > 0 && <span className="run-words"> {sizeWords(size)}</span>}
      </summary>
      <pre className="run-result" tabIndex={0}>
        {text}
      </pre>
    </details>
  ) : (
    <pre className="run-result">{text}</pre>
  );
}

/** What it does at this moment. */
function Now({ follower, view }: { follower: RunFollower; view: RunView }) {
  const piece = useCell(follower.piece);
  const last = view.rows.at(-1);
  const busy = last?.kind === "call" && !last.returned ? `Calling ${last.tool}` : view.next === 0 ? "Beginning" : "Thinking";
  return (
    <>
      {piece && <p className="run-thought writing">{piece}</p>}
      <p className="waiting" data-now>
        <span className="caret" aria-hidden="true" />
        <span>{busy} …</span>
      </p>
    </>
  );
}
