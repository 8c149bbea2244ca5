/*
 * How a folder gets in: a field for it, and the command that takes it in.
 * Promises: the command is right for any path, blanks and quotes too. Does not cover: looking whether the folder is there; no page
 * sees this machine's files.
 */
import { useState } from "react";
import { Command } from "./command";
import { COMMANDS } from "./words";

export function TakeIn() {
  const [path, setPath] = useState("");
  const [watch, setWatch] = useState(false);
  return (
    <section className="models-section" aria-labelledby="take-in-title">
      <h2 id="take-in-title">Take in a folder</h2>
      <p className="quiet" id="take-in-hint">
        A folder or a file: text, code, documents, mail, tables. Only the command line may name files of this machine; run this in a terminal, and watch it here. Secrets (keys, <code>.env</code>) are left out and
        listed.
      </p>
      <div className="take-in-form">
        <label className="field">
          <span>Folder</span>
          <input
            type="text"
            value={path}
            placeholder="~/notes"
            autoCapitalize="off"
            autoComplete="off"
            autoCorrect="off"
            spellCheck={false}
            maxLength={4096}
            aria-describedby="take-in-hint"
            onChange={(event) => setPath(event.target.value)}
          />
        </label>
        <label className="chip">
          <input type="checkbox" checked={watch} onChange={(event) => setWatch(event.target.checked)} />
          Keep it fresh from now on
        </label>
      </div>
      <Command text={path.trim() === "" ? `homefire ingest FOLDER${watch ? " --watch" : ""}` : COMMANDS.ingest(path.trim(), { watch })} />
    </section>
  );
}
