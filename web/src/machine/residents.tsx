/*
 * The models in memory, and what a person can do about them: load, pin, keep for a while, unload.
 * Promises: each says why it is there and when it leaves; answers under way are broken only by who chose that in so many words;
 * when a row goes, the focus goes to the list's title. Does not cover: what is on the disk (the models page).
 */
import { useEffect, useState } from "react";
import { useCell } from "../cell";
import { formatSeconds } from "../format";
import { ConfirmButton } from "../models/confirm";
import { focusFirst } from "../models/focus";
import { Icon } from "../page/icons";
import type { Residency, Resident } from "../wire/machine";
import type { Machine } from "./machine";
import { Swatch } from "./memory";
import { keepChoices, leavesWords, memoryWords, MOODS, rateWords, sentence, STATE_WORDS, useWords } from "./words";

const REST_MS = 400;

interface Props {
  machine: Machine;
  table: Residency;
  /** Seconds since the table came. */
  passed: number;
  /** The daemon does not answer: nothing can be asked for. */
  gone: boolean;
}

export function Residents({ machine, table, passed, gone }: Props) {
  return (
    <section className="models-section" aria-labelledby="residents-title">
      <div className="section-head">
        <h2 id="residents-title" tabIndex={-1}>
          In memory
        </h2>
        <LoadForm machine={machine} table={table} gone={gone} />
      </div>
      {table.models.length === 0 && <p className="quiet">No model is in memory. One is loaded when it is asked something, or here.</p>}
      <ul className="model-rows">
        {table.models.map((model, index) => (
          <ResidentRow key={model.name} machine={machine} model={model} number={index + 1} passed={passed} gone={gone} />
        ))}
      </ul>
    </section>
  );
}

function LoadForm({ machine, table, gone }: Omit<Props, "passed">) {
  const installed = useCell(machine.desk.models).models;
  const asking = useCell(machine.asking);
  const [picked, setPicked] = useState("");
  const there = new Set(table.models.map((model) => model.name));
  const choices = installed.map((model) => model.name).filter((name) => !there.has(name));
  const name = choices.includes(picked) ? picked : (choices[0] ?? "");
  if (choices.length === 0) return null;
  const busy = gone || asking.has(name);
  return (
    <form
      className="load-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void machine.load(name);
      }}
    >
      <select id="load-model" className="select slim" aria-label="Model to load" value={name} onChange={(event) => setPicked(event.target.value)}>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {choice}
          </option>
        ))}
      </select>
      <button type="submit" className="button slim primary" aria-disabled={busy}>
        <Icon name="play" /> {asking.has(name) ? "Loading …" : "Load"}
      </button>
    </form>
  );
}

interface RowProps {
  machine: Machine;
  model: Resident;
  number: number;
  passed: number;
  gone: boolean;
}

export function ResidentRow({ machine, model, number, passed, gone }: RowProps) {
  const facts: [string, string][] = [
    ["Loaded with", model.asLoaded || "what it needs"],
    ["In use", useWords(model)],
    ["Leaves", leavesWords(model, passed)],
    ["Memory", memoryWords(model)],
    ["Requests", rateWords(model)],
    ["Last load", model.loadSeconds === null ? "" : `took ${formatSeconds(model.loadSeconds)}`],
    ["Restarts", model.restarts > 0 ? String(model.restarts) : ""],
  ];
  return (
    <li className="model-row" data-resident={model.name} data-state={model.state}>
      <div className="model-row-head">
        <Swatch share={{ kind: "model", number }} />
        <h3>{model.name}</h3>
        <span className="tags">
          {model.pinned && <span className="tag">pinned</span>}
          {model.smaller && (
            <span className="tag plain" title="Its memory ran out at the first try">
              smaller than usual
            </span>
          )}
        </span>
        <span className="fit" data-mood={MOODS[model.state] ?? "fair"}>
          {STATE_WORDS[model.state] ?? model.state}
        </span>
      </div>
      {model.why !== "" && <p className="model-why">Here because {model.why}.</p>}
      <dl className="machine-facts">
        {facts
          .filter(([, value]) => value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{name === "Leaves" || name === "Loaded with" ? sentence(value) : value}</dd>
            </div>
          ))}
      </dl>
      <Controls machine={machine} model={model} gone={gone} />
    </li>
  );
}

function Controls({ machine, model, gone }: Pick<RowProps, "machine" | "model" | "gone">) {
  const asking = useCell(machine.asking);
  const { name, pinned, leases } = model;
  const leaving = model.state === "stopping" || model.state === "draining";
  const busy = gone || asking.has(name) || leaving;
  const still = asking.has(`${name} unload`) || leaving;
  const unload = (now: boolean): void => void machine.unload(name, now).then((done) => done && focusFirst("residents-title"));
  return (
    <div className="model-row-foot">
      <KeepChoice machine={machine} model={model} busy={gone || leaving} />
      <span className="model-actions">
        <button
          type="button"
          className="button slim"
          aria-pressed={pinned}
          aria-disabled={busy}
          aria-label={`Keep ${name} in memory`}
          title={pinned ? "Pinned: it stays, whoever needs memory" : "Pin it: it stays, whoever needs memory"}
          onClick={() => !busy && void machine.load(name, { pin: !pinned })}
        >
          <Icon name="pin" /> {pinned ? "Pinned" : "Pin"}
        </button>
        <ConfirmButton
          label={`Unload ${name}`}
          question={leases === 0 ? "Its answers have ended." : `${leases} ${leases === 1 ? "answer is" : "answers are"} under way.`}
          no="Keep it"
          {...(leaving ? {} : { between: { word: "When they end", run: () => unload(false) } })}
          yes="Break off now"
          busy={gone || asking.has(`${name} now`) || (leases === 0 && still)}
          onYes={() => unload(true)}
          straight={leases === 0 ? () => unload(false) : undefined}
        >
          <Icon name="leave" /> Unload
        </ConfirmButton>
      </span>
    </div>
  );
}

/** What is chosen is shown at once, and asked for when the choosing rests: arrow keys go through the choices one by one. */
function KeepChoice({ machine, model: { name, keepAlive }, busy }: { machine: Machine; model: Resident; busy: boolean }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const now = keepAlive ?? -1;
  useEffect(() => {
    if (chosen === null) return;
    const timer = setTimeout(() => void machine.load(name, { keep_alive: chosen }).then((done) => !done && setChosen(null)), REST_MS);
    return () => clearTimeout(timer);
  }, [machine, name, chosen]);
  useEffect(() => setChosen(null), [now]);
  return (
    <label className="keep">
      <span>Stays</span>
      <select
        className="select slim"
        aria-label={`How long ${name} stays`}
        aria-disabled={busy}
        value={chosen ?? now}
        onChange={(event) => !busy && setChosen(Number(event.target.value))}
      >
        {keepChoices(keepAlive).map(([seconds, words]) => (
          <option key={seconds} value={seconds}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
