/*
 * The answer to a question: it grows as it comes, its citations are numbers that open the passage, and below it what it rests on.
 * Promises: "not found" is shown as an answer; a quote is marked as one, for the model did not write it; what was removed is counted
 * and can be read; the model's text is drawn as text. Does not cover: checking; the daemon has done it.
 */
import { Fragment } from "react";
import { useCell } from "../cell";
import type { Passage } from "../wire/knowledge";
import { isGoing, type AnswerView, type Finder } from "./finder";
import type { Reading } from "./reading";
import { answerWords } from "./words";

export function AnswerBox({ finder, reading }: { finder: Finder; reading: Reading }) {
  const view = useCell(finder.answer);
  if (view.state === "none") return <p className="quiet">The answer comes from what was taken in, with its sources. What it cites is checked against them.</p>;
  return <Answer view={view} open={(passage) => void reading.open({ ...passage, first: passage.line })} />;
}

export function Answer({ view, open }: { view: AnswerView; open: (passage: Passage) => void }) {
  const going = isGoing(view);
  const said = answerWords(view);
  return (
    <section className="models-section" aria-labelledby="answer-title" aria-busy={going}>
      <h2 id="answer-title" className="breakable">
        {view.question}
      </h2>
      {view.notes.map((note) => (
        <p className="box" key={note}>
          {note}
        </p>
      ))}
      <div className="model-row knowledge-answer" data-answer={view.state}>
        <Words view={view} open={open} />
        {view.error && (
          <div className="box bad" role="alert">
            <p>{view.error.message}</p>
            {view.error.next_step && <p className="toast-step">{view.error.next_step}</p>}
          </div>
        )}
        {view.state === "stopped" && <p className="quiet">You stopped this answer here.</p>}
        <p className="quiet" role="status">
          {going ? (view.state === "reading" ? "Looking for passages …" : "Answering …") : said.join(" ")}
        </p>
        <Unsure view={view} />
      </div>
      <Sources view={view} open={open} />
    </section>
  );
}

/** Whether nothing was found: the model said so, or nothing that it said holds. */
const isAbsent = (view: AnswerView): boolean => view.state === "done" && !view.found;

function Words({ view, open }: { view: AnswerView; open: (passage: Passage) => void }) {
  const written = view.parts.some((part) => "n" in part || part.text.trim() !== "");
  const plain = view.parts.map((part) => ("text" in part ? part.text : "")).join("");
  if (isAbsent(view) && view.quote === null && (!written || /^\W*not found\W*$/i.test(plain))) {
    return (
      <div className="knowledge-absent">
        <p>Not found in what was taken in.</p>
        <p className="quiet">Ask in other words, narrow it less, or look with Search at what is there.</p>
      </div>
    );
  }
  return (
    <>
      {written && (
        <p className="knowledge-words" data-doubtful={(view.state === "done" && (!view.found || view.quote !== null)) || undefined}>
          {view.parts.map((part, index) => (
            <Fragment key={index}>{"text" in part ? part.text : <Citation n={part.n} view={view} open={open} />}</Fragment>
          ))}
        </p>
      )}
      {view.quote && (
        <figure className="knowledge-quote">
          <blockquote>{view.quote.text}</blockquote>
          <figcaption className="quiet">
            Quoted as it stands <Citation n={view.quote.n} view={view} open={open} />: the sentence nearest to your question. The model did not write it; it had no answer of its own that holds.
          </figcaption>
        </figure>
      )}
      {isAbsent(view) && view.quote === null && <p className="box bad">No passage says this. Do not rely on it.</p>}
    </>
  );
}

function Citation({ n, view, open }: { n: number; view: AnswerView; open: (passage: Passage) => void }) {
  const passage = view.passages.find((each) => each.n === n);
  if (!passage) return <span>[{n}]</span>;
  return (
    <button type="button" className="citation" aria-label={`Source ${n}: ${passage.path}, line ${passage.line}`} title={`${passage.path}:${passage.line}`} onClick={() => open(passage)}>
      [{n}]
    </button>
  );
}

/** What does not hold, for whoever wants to know. */
function Unsure({ view }: { view: AnswerView }) {
  if (isGoing(view) || (view.removed.length === 0 && view.unsupported.length === 0)) return null;
  return (
    <details className="details">
      <summary>What does not hold</summary>
      <ul className="machine-list">
        {view.removed.map(({ n, why }, index) => (
          <li key={`removed ${index}`}>
            Removed [{n}]: {why}.
          </li>
        ))}
        {view.unsupported.map((sentence, index) => (
          <li key={`unsupported ${index}`}>No passage says: {sentence}</li>
        ))}
      </ul>
    </details>
  );
}

function Sources({ view, open }: { view: AnswerView; open: (passage: Passage) => void }) {
  if (view.passages.length === 0) return null;
  const cited = new Set(view.parts.flatMap((part) => ("n" in part ? [part.n] : [])));
  if (view.quote) cited.add(view.quote.n);
  return (
    <section className="models-section" aria-labelledby="sources-title">
      <h3 id="sources-title">What the model read</h3>
      <ol className="sources">
        {view.passages.map((passage) => (
          <li key={passage.n} data-cited={cited.has(passage.n) || undefined}>
            <span className="source-number">[{passage.n}]</span>
            <span>
              <button type="button" className="place-link" onClick={() => open(passage)}>
                {passage.path}
                <span className="place-line">:{passage.line}</span>
              </button>
              {cited.has(passage.n) && <span className="tag">cited</span>}
              {passage.label && <span className="quiet breakable"> {passage.label}</span>}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
