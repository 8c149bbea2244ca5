/*
 * What a search found: places with path and line, the lines that fit, and on demand why each is where it is.
 * Promises: arrow keys go from place to place, upwards from the first to the field; every letter of a document is drawn as text;
 * what could not take part in the search is said. Does not cover: what is marked (marks.ts), the document (viewer.tsx).
 */
import { memo, useMemo, type KeyboardEvent } from "react";
import { useCell } from "../cell";
import { formatSeconds } from "../format";
import { languageName } from "../thread/language";
import type { Place } from "../wire/knowledge";
import type { Finder } from "./finder";
import { markerOf, snippetOf } from "./marks";
import type { Reading } from "./reading";
import { KINDS, reasonWords } from "./words";

const places = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>("[data-place] .place-link")];

/** The focus to a place of the list; false: there is none. */
export function focusPlace(index: number): boolean {
  const found = places()[index];
  found?.focus();
  return found !== undefined;
}

function arrows(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const every = places();
  const at = every.findIndex((place) => place === document.activeElement);
  if (at < 0) return;
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  if (next < 0) document.getElementById("knowledge-field")?.focus();
  else every[next]?.focus();
}

export function Results({ finder, reading, several }: { finder: Finder; reading: Reading; several: boolean }) {
  const { asked, places: found, notes, milliseconds, loading, error } = useCell(finder.search);
  const marker = useMemo(() => (asked ? markerOf(asked) : null), [asked]);
  if (asked === null && !loading && !error) return null;
  return (
    <section className="models-section" aria-labelledby="results-title" aria-busy={loading}>
      <div className="section-head">
        <h2 id="results-title">Found</h2>
        <p className="quiet" role="status">
          {loading ? "Looking …" : !error && countWords(found.length, finder.hasMore(), milliseconds)}
        </p>
      </div>
      {error && error.code !== "unreachable" && (
        <div className="box bad" role="alert">
          <p>{error.message}</p>
          {error.next_step && <p className="toast-step">{error.next_step}</p>}
        </div>
      )}
      {notes.map((note) => (
        <p className="box" key={note}>
          {note}
        </p>
      ))}
      {!loading && !error && found.length === 0 && (
        <p className="quiet">{asked?.mode === "all" ? "Try fewer or other words, or narrow it less." : "Try the mode All, or narrow it less."}</p>
      )}
      <ol className="places" onKeyDown={arrows}>
        {found.map((place) => (
          <PlaceRow key={place.handle} place={place} marker={marker} reading={reading} several={several} />
        ))}
      </ol>
      {finder.hasMore() && (
        <button type="button" className="button" aria-disabled={loading} onClick={() => !loading && void finder.more()}>
          More places
        </button>
      )}
    </section>
  );
}

function countWords(count: number, more: boolean, milliseconds: number | null): string {
  const word = count === 0 ? "Nothing found" : more ? `The best ${count} places` : `${count} ${count === 1 ? "place" : "places"}`;
  return milliseconds === null ? word : `${word} · ${milliseconds < 10 ? "< 0.01 s" : formatSeconds(milliseconds / 1000)}`;
}

interface RowProps {
  place: Place;
  marker: RegExp | null;
  reading: Reading;
  several: boolean;
}

export const PlaceRow = memo(function PlaceRow({ place, marker, reading, several }: RowProps) {
  const lines = snippetOf(place, marker);
  const { collection, path, line, first, last, label, kind, language, also } = place;
  return (
    <li className="model-row found-place" data-place={`${path}:${line}`}>
      <div className="model-row-head">
        <button type="button" className="place-link" onClick={() => void reading.open({ collection, path, line, first, last })}>
          {path}
          <span className="place-line">:{line}</span>
        </button>
        <span className="tags">
          {several && <span className="tag plain">{collection}</span>}
          <span className="tag plain">{language ? languageName(language) : (KINDS[kind] ?? kind)}</span>
        </span>
      </div>
      {label && <p className="model-why breakable">{label}</p>}
      <div className="snippet">
        {lines.map(({ number, segments, best }) => (
          <div className="snippet-line" data-best={best || undefined} key={number}>
            <span className="line-number" aria-hidden="true">
              {number}
            </span>
            <code>
              {segments.map(({ text, marked }, index) => (marked ? <mark key={index}>{text}</mark> : text))}
            </code>
          </div>
        ))}
      </div>
      {also.length > 0 && <p className="quiet breakable">The same text: {also.join(", ")}</p>}
      <Why place={place} />
    </li>
  );
});

function Why({ place: { why, score, keptForWords, path, line } }: { place: Place }) {
  if (why.length === 0) return null;
  return (
    <details className="details">
      <summary aria-label={`Why ${path}:${line} is here`}>Why</summary>
      <dl className="facts">
        {why.map((reason) => {
          const [name, words] = reasonWords(reason);
          return (
            <div key={`${reason.name} ${reason.place}`}>
              <dt>{name}</dt>
              <dd>{words}</dd>
            </div>
          );
        })}
        <div>
          <dt>Together</dt>
          <dd>
            {Number(score.toPrecision(3))}
            {keptForWords && ", with a place among the first kept for exact words"}
          </dd>
        </div>
      </dl>
    </details>
  );
}
