/*
 * What agents remember: looked at, searched, edited, forgotten.
 * Promises: each fact stands with the words that it came from; an edit has a button that leaves all as it was; nothing that is
 * remembered is drawn as anything but text. Does not cover: fetching (memory.ts).
 */
import { useEffect, useId, useState } from "react";
import { useCell } from "../cell";
import { formatDay } from "../format";
import { Icon } from "../page/icons";
import type { Block, Fact, Recalled } from "../wire/memory";
import type { Memory } from "./memory";

export function MemoryView({ memory }: { memory: Memory }) {
  const blocks = useCell(memory.blocks);
  const facts = useCell(memory.facts);
  const refused = useCell(memory.refused);
  useEffect(() => void memory.refresh(), [memory]);
  if (refused?.code === "unknown_route") return null;
  return (
    <section className="models-section" aria-labelledby="memory-title">
      <h2 id="memory-title">Memory</h2>
      {refused && refused.code !== "unreachable" ? (
        <p className="box bad">
          {refused.message} {refused.next_step}
        </p>
      ) : (
        <>
          <Search memory={memory} />
          {blocks && blocks.length > 0 && (
            <ul className="model-rows" aria-label="What stands in every prompt">
              {blocks.map((block) => (
                <BlockRow key={block.name} memory={memory} block={block} />
              ))}
            </ul>
          )}
          {facts.length > 0 ? (
            <ul className="model-rows" aria-label="Facts">
              {facts.map((fact) => (
                <FactRow key={fact.id} memory={memory} fact={fact} />
              ))}
            </ul>
          ) : (
            <p className="quiet">No fact is remembered yet.</p>
          )}
        </>
      )}
    </section>
  );
}

function Search({ memory }: { memory: Memory }) {
  const [query, setQuery] = useState("");
  const found = useCell(memory.found);
  return (
    <>
      <form
        className="memory-form"
        role="search"
        aria-label="Memory"
        onSubmit={(event) => {
          event.preventDefault();
          void memory.search(query);
        }}
      >
        <label className="field">
          <span>Search what is remembered, and all conversations</span>
          <input type="search" value={query} autoComplete="off" onChange={(event) => setQuery(event.target.value)} />
        </label>
        <button type="submit" className="button">
          <Icon name="search" /> Search
        </button>
      </form>
      {found && <Found found={found} />}
    </>
  );
}

const KINDS: Record<string, string> = { fact: "Fact", turn: "Conversation", step: "A run", summary: "In short" };

export function Found({ found }: { found: readonly Recalled[] }) {
  return (
    <div role="status">
      {found.length === 0 ? (
        <p className="quiet">Nothing of that is remembered.</p>
      ) : (
        <ul className="model-rows" aria-label="Found in memory">
          {found.map(({ kind, id, text, at, conversation }) => (
            <li key={`${kind} ${id}`} className="model-row">
              <p className="memory-text">{text}</p>
              <p className="model-figures">
                {KINDS[kind] ?? kind}
                {at > 0 && ` · ${formatDay(at, new Date())}`}
                {conversation && (
                  <>
                    {" · "}
                    <a href={`#/c/${encodeURIComponent(conversation)}`}>open it</a>
                  </>
                )}
              </p>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function BlockRow({ memory, block }: { memory: Memory; block: Block }) {
  const [draft, setDraft] = useState<{ text: string; of: Block } | null>(null);
  const [past, setPast] = useState(false);
  const versions = useCell(memory.versions).get(block.name);
  const id = useId();
  const stale = draft !== null && draft.of.version !== block.version;

  async function save(): Promise<void> {
    if (draft && (await memory.edit(draft.of, draft.text))) setDraft(null);
  }

  return (
    <li className="model-row" data-block={block.name}>
      <div className="model-row-head">
        <h3>{block.name}</h3>
        <span className="model-row-state">version {block.version}</span>
      </div>
      {(draft === null || stale) && <p className="memory-text">{block.text || <span className="quiet">Nothing yet.</span>}</p>}
      {draft !== null && (
        <>
          {stale && (
            <p className="box bad" role="alert">
              It was changed elsewhere meanwhile: above is what stands there now, below what you wrote.
            </p>
          )}
          <label className="field" htmlFor={id}>
            <span>{block.name}</span>
          </label>
          <div className="field">
            <textarea id={id} rows={5} value={draft.text} maxLength={block.limit || undefined} onChange={(event) => setDraft({ ...draft, text: event.target.value })} />
          </div>
        </>
      )}
      <div className="model-actions">
        {draft === null ? (
          <button type="button" className="button slim" aria-label={`Edit ${block.name}`} onClick={() => setDraft({ text: block.text, of: block })}>
            <Icon name="pencil" /> Edit
          </button>
        ) : (
          <>
            <button type="button" className="button slim" onClick={() => setDraft(null)}>
              Leave it
            </button>
            {stale ? (
              <button type="button" className="button slim primary" onClick={() => setDraft({ ...draft, of: block })}>
                Edit the new one with this
              </button>
            ) : (
              <button type="button" className="button slim primary" onClick={() => void save()}>
                Save
              </button>
            )}
          </>
        )}
        <button
          type="button"
          className="button slim"
          aria-expanded={past}
          aria-label={`Versions of ${block.name}`}
          onClick={() => {
            setPast(!past);
            if (!past) void memory.lookBack(block.name);
          }}
        >
          Versions
        </button>
      </div>
      {past && versions && (
        <ul className="machine-list">
          {versions.map(({ version, text, at, by }) => (
            <li key={version}>
              <span>
                Version {version} · {formatDay(at, new Date())}
                {by && ` · ${by}`}
              </span>
              <span className="memory-text">{text}</span>
              {version !== block.version && (
                <button type="button" className="button slim" aria-label={`Bring version ${version} of ${block.name} back`} onClick={() => void memory.restore(block.name, version)}>
                  Bring back
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

export function FactRow({ memory, fact }: { memory: Memory; fact: Fact }) {
  const facts: string[] = [];
  if (fact.createdAt > 0) facts.push(formatDay(fact.createdAt, new Date()));
  if (fact.confidence < 1) facts.push(`${Math.round(100 * fact.confidence)} % sure`);
  if (fact.expiresAt > 0) facts.push(`until ${new Date(fact.expiresAt * 1000).toLocaleDateString("en-GB")}`);
  if (fact.replaced) facts.push("something newer stands in its place");
  if (fact.contradicts.length > 0) facts.push(fact.contradicts.length === 1 ? "another fact says otherwise" : `${fact.contradicts.length} facts say otherwise`);
  return (
    <li className="model-row" data-fact={fact.id}>
      <p className="memory-text">{fact.text}</p>
      {fact.quote && (
        <blockquote className="model-why">
          “{fact.quote}” {fact.source && `(${fact.source})`}
        </blockquote>
      )}
      <div className="model-row-foot">
        <p className="model-figures">{facts.join(" · ")}</p>
        <button type="button" className="button slim" aria-label={`Forget: ${fact.text.slice(0, 80)}`} onClick={() => void memory.forget(fact)}>
          <Icon name="trash" /> Forget
        </button>
      </div>
    </li>
  );
}
