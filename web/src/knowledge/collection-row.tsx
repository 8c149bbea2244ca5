/*
 * One collection: what is in it, how far it is, what was left out and why, and what can be done about it.
 * Promises: a run says its files, bytes, rate and time left; what failed or was skipped is listed with its reason, page by page;
 * what only a key may do stands as its command. Does not cover: what is in the documents (viewer.tsx).
 */
import { useEffect, useState } from "react";
import { useCell } from "../cell";
import { formatCount } from "../format";
import { Icon } from "../page/icons";
import type { Collection, Left, Run } from "../wire/knowledge";
import { isUnderWay, type Check } from "./collections";
import { Command, useCommand } from "./command";
import type { Knowledge } from "./knowledge";
import { COMMANDS, factWords, meaningWords, plural, runPercent, runWords, stateWords, tokenWords } from "./words";

export function CollectionRow({ knowledge, collection }: { knowledge: Knowledge; collection: Collection }) {
  const { name, root, run, meaning, watch } = collection;
  const check = useCell(knowledge.collections.checks).get(name);
  const busy = run !== null && isUnderWay(run);
  const again = useCommand({
    label: `Take in ${name} again`,
    word: (
      <>
        <Icon name="retry" /> Look for changes
      </>
    ),
    command: COMMANDS.ingest(root || "FOLDER", { name }),
    children: <p>Reads what is new or changed, and forgets what is gone. What did not change is not read again.</p>,
  });
  const watching = useCommand({
    label: watch ? `Watch ${name} no longer` : `Watch ${name}`,
    word: watch ? "Stop watching" : "Watch",
    command: COMMANDS.watch(name, !watch),
    children: <p>{watch ? "Changes of its folder are not looked for any more. What is taken in stays." : "From then on changes of its folder are taken in by themselves."}</p>,
  });
  const cancel = useCommand({
    label: `Cancel taking in ${name}`,
    word: "Cancel",
    command: COMMANDS.cancel(name),
    children: <p>What was read so far stays, and can be searched. The next run goes on from there.</p>,
  });
  const remove = useCommand({
    label: `Remove ${name}`,
    word: (
      <>
        <Icon name="trash" /> Remove
      </>
    ),
    command: COMMANDS.remove(name),
    children: (
      <p>
        This cannot be undone. Lost are the text of {plural(collection.documents, "document")} ({tokenWords(collection.tokens)}) as it was taken in, its index and its vectors; citations that lead here lead
        nowhere. {root ? <code className="breakable">{root}</code> : "The folder it came from"} is not touched, and can be taken in again.
      </p>
    ),
  });
  return (
    <li className="model-row" data-collection={name} data-state={run && busy ? run.state : collection.state}>
      <div className="model-row-head">
        <h3>{name}</h3>
        <span className="model-row-state">
          {stateWords(collection)}
          {run && busy && runPercent(run) !== null && ` · ${runPercent(run)} %`}
        </span>
      </div>
      {root && <p className="model-why breakable">{root}</p>}
      {run && busy && <Progress run={run} />}
      {!(busy && collection.documents === 0) && <p className="model-figures">{factWords(collection, new Date())}</p>}
      {meaningWords(collection) !== "" && <p className="model-why">{meaningWords(collection)}</p>}
      {(meaning.state === "working" || meaning.state === "waiting") && <progress className="bar thin" aria-label={`Vectors of ${name}`} max={1} value={meaning.share} />}
      <Trouble collection={collection} busy={busy} />
      <LeftOut knowledge={knowledge} collection={collection} state="failed" count={collection.failed} />
      <LeftOut knowledge={knowledge} collection={collection} state="skipped" count={collection.skipped} />
      <LeftOut knowledge={knowledge} collection={collection} state="read" count={collection.documents} />
      <div className="model-row-foot">
        <span className="model-actions">
          {busy ? cancel.button : again.button}
          {watching.button}
          <VerifyButton knowledge={knowledge} name={name} check={check} />
          {remove.button}
        </span>
      </div>
      {busy ? cancel.panel : again.panel}
      {watching.panel}
      {remove.panel}
      <Checked name={name} check={check} />
    </li>
  );
}

function Progress({ run }: { run: Run }) {
  const part = runPercent(run);
  return (
    <>
      <progress className="bar" aria-label={`Taking in ${run.collection}`} max={100} {...(part === null ? (run.state === "running" ? {} : { value: 0 }) : { value: part })} />
      <p className="model-figures" data-run>
        {runWords(run)}
      </p>
      {run.now && <p className="knowledge-now quiet">{run.now}</p>}
    </>
  );
}

/** Why the last run ended early. */
function Trouble({ collection: { note, run }, busy }: { collection: Collection; busy: boolean }) {
  const error = busy ? null : (run?.error ?? null);
  if (busy || (!error && note === "")) return null;
  const cancelled = !error && note === "cancelled";
  return (
    <div className={`box ${cancelled ? "" : "bad"}`}>
      <p>{error?.message ?? (cancelled ? "The last run was cancelled before its end." : note)}</p>
      <p className="toast-step">{error?.next_step ?? "What was read before is there. Look for changes to go on."}</p>
    </div>
  );
}

const LEFT_WORDS: Record<Left, string> = { failed: "could not be read", skipped: "left out", read: "Documents" };

function LeftOut({ knowledge, collection: { name }, state, count }: { knowledge: Knowledge; collection: Collection; state: Left; count: number }) {
  const page = useCell(knowledge.collections.pages).get(`${name} ${state}`);
  const [open, setOpen] = useState(false);
  const wanted = open && !page;
  useEffect(() => {
    // Forgotten when a run ends, and asked for again if it is looked at.
    if (wanted) void knowledge.collections.documents(name, state);
  }, [wanted, knowledge, name, state]);
  if (count === 0) return null;
  const summary = state === "read" ? LEFT_WORDS[state] : `${formatCount(count)} ${LEFT_WORDS[state]}`;
  return (
    <details className="details" data-left={state} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary aria-label={`${summary}: ${name}`}>{summary}</summary>
      {page && (
        <>
          <ul className="machine-list left-out">
            {page.documents.map(({ path, reason }, index) => (
              <li key={`${path} ${index}`}>
                {state === "read" ? (
                  <button type="button" className="place-link" onClick={() => void knowledge.reading.open({ collection: name, path, line: 1, first: 0, last: 0 })}>
                    {path}
                  </button>
                ) : (
                  <span className="breakable">{path}</span>
                )}
                {reason && <span className="quiet"> {reason}</span>}
              </li>
            ))}
          </ul>
          {page.error && <p className="box bad">{page.error.message}</p>}
          {(page.next !== null || page.error) && (
            <button type="button" className="button slim" aria-disabled={page.loading} aria-label={`More of ${summary}: ${name}`} onClick={() => void knowledge.collections.documents(name, state)}>
              {page.error ? "Try again" : "More"}
            </button>
          )}
        </>
      )}
      {page?.loading && <p className="quiet">Looking …</p>}
    </details>
  );
}

function VerifyButton({ knowledge, name, check }: { knowledge: Knowledge; name: string; check: Check | undefined }) {
  const running = check?.state === "running";
  const word = running ? "Verifying …" : check?.state === "ended" && check.whole ? "Intact" : "Verify";
  return (
    <button
      type="button"
      className="button slim"
      aria-label={running ? `Verifying ${name}` : `Verify ${name}`}
      aria-disabled={running}
      title="Read every byte of it again and hold it against its digest"
      onClick={() => void knowledge.collections.verify(name)}
    >
      <Icon name="check" /> {word}
    </button>
  );
}

function Checked({ name, check }: { name: string; check: Check | undefined }) {
  if (check?.state === "running") {
    return <progress className="bar" aria-label={`Verifying ${name}`} {...(check.total > 0 ? { max: check.total, value: check.done } : {})} />;
  }
  if (check?.state !== "ended" || check.whole) return null;
  return (
    <div className="box bad" role="alert">
      <p>Damaged: {check.damaged.join(", ") || "something in it"}</p>
      <p className="toast-step">Make it anew from its folder:</p>
      <Command text={COMMANDS.repair(name)} />
    </div>
  );
}
