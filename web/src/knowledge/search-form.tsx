/*
 * The one form for searching and asking: what, how, and where.
 * Promises: nothing is sent while one types; another mode or another narrowing searches again by itself; Escape empties the field,
 * the arrow down leads to the results. Does not cover: what a query means; the daemon knows.
 */
import { useId, useRef, useState, type KeyboardEvent } from "react";
import { useCell } from "../cell";
import { Icon } from "../page/icons";
import type { Collection, Mode } from "../wire/knowledge";
import { isGoing, type Finder, type Form } from "./finder";
import { focusPlace } from "./results";
import { KINDS, MODES } from "./words";

export function SearchForm({ finder, list }: { finder: Finder; list: readonly Collection[] }) {
  const form = useCell(finder.form);
  const going = isGoing(useCell(finder.answer));
  const group = useId();
  const asks = form.what === "ask";
  const stops = asks && going;

  /** Changes the form, and searches again if something was searched for. */
  function narrow(fields: Partial<Form>): void {
    finder.change(fields);
    if (form.what === "search" && finder.search.get().asked !== null) void finder.submit();
  }

  function keys(event: KeyboardEvent<HTMLInputElement>): void {
    if (event.key === "Escape" && form.words !== "") {
      event.preventDefault();
      finder.change({ words: "" });
    }
    if (event.key === "ArrowDown" && focusPlace(0)) event.preventDefault();
  }

  return (
    <search className="filters knowledge-form" aria-label="Search and ask">
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault();
          if (stops) finder.stop();
          else void finder.submit();
        }}
      >
        <fieldset className="chips">
          <legend className="visually-hidden">Search or ask</legend>
          {(["search", "ask"] as const).map((what) => (
            <label className="chip" key={what}>
              <input type="radio" name={`${group}-what`} checked={form.what === what} onChange={() => finder.change({ what })} />
              {what === "search" ? "Search" : "Ask"}
            </label>
          ))}
        </fieldset>
        <div className="knowledge-line">
          <label className="search">
            <Icon name={asks ? "question" : "search"} />
            <span className="visually-hidden">{asks ? "Ask about what was taken in" : "Search what was taken in"}</span>
            <input
              id="knowledge-field"
              type="search"
              placeholder={asks ? "Ask about what was taken in" : "Search what was taken in"}
              autoComplete="off"
              maxLength={10_000}
              value={form.words}
              onChange={(event) => finder.change({ words: event.target.value })}
              onKeyDown={keys}
            />
          </label>
          <button type="submit" className="button primary" aria-disabled={!stops && form.words.trim() === ""}>
            {stops ? "Stop" : asks ? "Ask" : "Search"}
          </button>
        </div>
        {!asks && <Modes form={form} narrow={narrow} />}
        <Where form={form} list={list} narrow={narrow} />
      </form>
    </search>
  );
}

interface Part {
  form: Form;
  narrow: (fields: Partial<Form>) => void;
}

function Modes({ form, narrow }: Part) {
  const group = useId();
  return (
    <>
      <fieldset className="chips" aria-describedby={`${group}-hint`}>
        <legend className="visually-hidden">How to look</legend>
        {(Object.keys(MODES) as Mode[]).map((mode) => (
          <label className="chip" key={mode}>
            <input type="radio" name={group} checked={form.mode === mode} onChange={() => narrow({ mode })} />
            {MODES[mode].word}
          </label>
        ))}
      </fieldset>
      {form.mode === "pattern" && (
        <div className="chips">
          <label className="chip">
            <input type="checkbox" checked={form.literal} onChange={(event) => narrow({ literal: event.target.checked })} />
            Just these characters
          </label>
          <label className="chip">
            <input type="checkbox" checked={!form.ignoreCase} onChange={(event) => narrow({ ignoreCase: !event.target.checked })} />
            Mind capitals
          </label>
        </div>
      )}
      <p className="quiet" id={`${group}-hint`}>
        {form.mode === "pattern" && form.literal ? "A plain string, punctuation and all." : MODES[form.mode].what}
      </p>
    </>
  );
}

function Where({ form, list, narrow }: Part & { list: readonly Collection[] }) {
  const narrowed = form.path !== "" || form.kind !== "" || form.language !== "" || form.collections.length > 0;
  const [atFirst] = useState(narrowed);
  return (
    <details className="details" open={atFirst}>
      <summary>Narrow it{narrowed && " (narrowed)"}</summary>
      {list.length > 1 && (
        <fieldset className="chips knowledge-where">
          <legend className="quiet">Only in these collections (none chosen: all)</legend>
          {list.map(({ name }) => (
            <label className="chip" key={name}>
              <input
                type="checkbox"
                checked={form.collections.includes(name)}
                onChange={(event) => narrow({ collections: event.target.checked ? [...form.collections, name] : form.collections.filter((other) => other !== name) })}
              />
              <span className="breakable">{name}</span>
            </label>
          ))}
        </fieldset>
      )}
      <div className="knowledge-filters">
        <TextFilter label="Path" hint="src/*.py" value={form.path} onValue={(path) => narrow({ path })} />
        <label className="field">
          <span>Kind</span>
          <select className="select" value={form.kind} onChange={(event) => narrow({ kind: event.target.value })}>
            <option value="">Any</option>
            {Object.entries(KINDS).map(([kind, word]) => (
              <option key={kind} value={kind}>
                {word}
              </option>
            ))}
          </select>
        </label>
        <TextFilter label="Language of code" hint="python" value={form.language} onValue={(language) => narrow({ language })} />
      </div>
    </details>
  );
}

/** A field that narrows when one has left it or pressed Enter, not with every letter. */
function TextFilter({ label, hint, value, onValue }: { label: string; hint: string; value: string; onValue: (value: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const settle = (): void => {
    const now = field.current?.value.trim() ?? "";
    if (now !== value) onValue(now);
  };
  return (
    <label className="field">
      <span>{label}</span>
      <input
        ref={field}
        type="text"
        defaultValue={value}
        placeholder={hint}
        autoCapitalize="off"
        autoComplete="off"
        spellCheck={false}
        maxLength={4096}
        onBlur={settle}
        onKeyDown={(event) => event.key === "Enter" && settle()}
      />
    </label>
  );
}
