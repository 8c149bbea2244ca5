/*
 * The knowledge page: ask and search at the top, what was found, the collections, and how a folder gets in.
 * Promises: whoever comes finds the focus on it; `/` leads to the field from anywhere on it; a screen reader is told of runs that
 * ended and of what a search found; it reads in one column on a phone; nothing of a document is ever drawn as anything but text.
 * Does not cover: the address and the way in (route.ts, sidebar.tsx).
 */
import { useCallback, useEffect } from "react";
import { useCell } from "../cell";
import { Room } from "../page/room";
import { connection } from "../session/connection";
import { AnswerBox } from "./answer";
import { CollectionRow } from "./collection-row";
import type { Knowledge } from "./knowledge";
import { Results } from "./results";
import { SearchForm } from "./search-form";
import { TakeIn } from "./take-in";
import { Viewer } from "./viewer";

export function KnowledgePage({ knowledge, onMenu }: { knowledge: Knowledge; onMenu: () => void }) {
  const look = useCallback((seen: boolean): void => knowledge.collections.look(seen), [knowledge]);
  useEffect(() => () => knowledge.reading.close(), [knowledge]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.target instanceof HTMLElement && event.target.matches("input:not([type=radio], [type=checkbox]), textarea, select")) return;
      const field = document.getElementById("knowledge-field");
      if (!(field instanceof HTMLInputElement)) return;
      event.preventDefault();
      field.focus();
      field.select();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);

  return (
    <>
      <Room name="knowledge" title="Knowledge" onMenu={onMenu} look={look}>
        <Spoken knowledge={knowledge} />
        <Inside knowledge={knowledge} />
      </Room>
      <Viewer reading={knowledge.reading} />
    </>
  );
}

function Inside({ knowledge }: { knowledge: Knowledge }) {
  const list = useCell(knowledge.collections.list);
  const refused = useCell(knowledge.collections.refused);
  const what = useCell(knowledge.finder.form).what;
  const gone = useCell(connection) === "gone";
  const names = list?.map((each) => each.name).join("\n");
  useEffect(() => {
    if (names !== undefined) knowledge.finder.keepTo(names.split("\n"));
  }, [knowledge, names]);

  if (refused && refused.code !== "unreachable") {
    return (
      <div className="models-column">
        <div className="box bad" role="alert">
          <p>{refused.message}</p>
          {refused.next_step && <p className="toast-step">{refused.next_step}</p>}
        </div>
      </div>
    );
  }
  if (!list) return <p className="models-column quiet">{gone ? "Nothing is known until the daemon answers." : "Looking …"}</p>;
  return (
    <div className="models-column" data-stale={gone}>
      {list.length > 0 && (
        <>
          <SearchForm finder={knowledge.finder} list={list} />
          {what === "ask" ? <AnswerBox finder={knowledge.finder} reading={knowledge.reading} /> : <Results finder={knowledge.finder} reading={knowledge.reading} several={list.length > 1} />}
        </>
      )}
      <section className="models-section" aria-labelledby="collections-title">
        <h2 id="collections-title" tabIndex={-1}>
          Collections
        </h2>
        {list.length === 0 ? (
          <p className="quiet">Nothing was taken in yet. Once a folder is, it can be searched and asked about here.</p>
        ) : (
          <ul className="model-rows">
            {list.map((each) => (
              <CollectionRow key={each.name} knowledge={knowledge} collection={each} />
            ))}
          </ul>
        )}
      </section>
      <TakeIn />
    </div>
  );
}

function Spoken({ knowledge }: { knowledge: Knowledge }) {
  return (
    <p className="visually-hidden" role="status">
      {useCell(knowledge.collections.spoken)}
    </p>
  );
}
