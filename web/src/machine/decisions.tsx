/*
 * The last decisions, newest first, each with its sentence; filtered by model and by kind.
 * Promises: grows as they are made, and moves nobody's focus; a filter offers only what there is.
 * Does not cover: deciding (homefire/residency/decisions.py writes the sentences).
 */
import { useState } from "react";
import { useCell } from "../cell";
import type { Decision } from "../wire/machine";
import type { Machine } from "./machine";
import { BAD_KINDS, kindWord } from "./words";

const SHORT = 8;

export function Decisions({ machine }: { machine: Machine }) {
  const all = useCell(machine.decisions);
  const [model, setModel] = useState("");
  const [kind, setKind] = useState("");
  const [whole, setWhole] = useState(false);
  const found = all.filter((entry) => (model === "" || entry.model === model) && (kind === "" || entry.kind === kind));
  const shown = whole ? found : found.slice(0, SHORT);
  return (
    <section className="models-section" aria-labelledby="decisions-title">
      <div className="section-head">
        <h2 id="decisions-title">Decisions</h2>
        {all.length > 0 && (
          <div className="decision-filters" role="group" aria-label="Filter the decisions">
            <Filter label="Of the model" all="All models" value={model} values={all.map((entry) => entry.model)} word={(name) => name} onChange={setModel} />
            <Filter label="Of the kind" all="All kinds" value={kind} values={all.map((entry) => entry.kind)} word={kindWord} onChange={setKind} />
          </div>
        )}
      </div>
      {all.length === 0 && <p className="quiet">Nothing was decided yet.</p>}
      {all.length > 0 && found.length === 0 && <p className="quiet">No decision of this kind.</p>}
      <ol className="machine-list decisions" aria-label="Decisions, newest first">
        {shown.map((entry) => (
          <DecisionRow key={entry.number} entry={entry} />
        ))}
      </ol>
      {found.length > SHORT && (
        <p>
          <button type="button" className="button slim" aria-expanded={whole} onClick={() => setWhole(!whole)}>
            {whole ? "Show the last ones only" : `Show all ${found.length}`}
          </button>
        </p>
      )}
    </section>
  );
}

export function DecisionRow({ entry }: { entry: Decision }) {
  const { at, kind, model, reason, times } = entry;
  const when = new Date(at * 1000);
  return (
    <li data-decision={kind}>
      <time dateTime={when.toISOString()} title={when.toLocaleString()}>
        {when.toLocaleTimeString()}
      </time>
      <span className="tag plain" data-bad={BAD_KINDS.has(kind)}>
        {kindWord(kind)}
      </span>
      <p>
        <b>{model}</b> {reason}
        {times > 1 && <span className="quiet"> {times} times</span>}
      </p>
    </li>
  );
}

interface FilterProps {
  label: string;
  all: string;
  value: string;
  values: readonly string[];
  word: (value: string) => string;
  onChange: (value: string) => void;
}

function Filter({ label, all, value, values, word, onChange }: FilterProps) {
  // What was chosen stays to choose, also when its last entry has fallen out of the log.
  const choices = [...new Set([...values, ...(value === "" ? [] : [value])])].sort((one, other) => word(one).localeCompare(word(other)));
  return (
    <select className="select slim" aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{all}</option>
      {choices.map((choice) => (
        <option key={choice} value={choice}>
          {word(choice)}
        </option>
      ))}
    </select>
  );
}
