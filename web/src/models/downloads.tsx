/*
 * The downloads under way, and those that failed.
 * Promises: each says what it is doing, how far it is, how fast and how long still; pause, resume, cancel; an error stands with
 * its next step until it is tried again or put away. Does not cover: those that ended well; they are among the installed.
 */
import { useCell } from "../cell";
import { formatBytes } from "../format";
import { Icon } from "../page/icons";
import type { Download } from "../wire/models";
import { ConfirmButton } from "./confirm";
import { focusFirst } from "./focus";
import type { Shelf } from "./shelf";
import { isShown } from "./transfers";
import { percent, phaseWords, progressWords } from "./words";

export function Downloads({ shelf }: { shelf: Shelf }) {
  const shown = useCell(shelf.transfers.list).filter(isShown);
  if (shown.length === 0) return null;
  return (
    <section className="models-section" aria-labelledby="downloads-title">
      <h2 id="downloads-title" tabIndex={-1}>
        Downloads
      </h2>
      <ul className="model-rows">
        {shown.map((download) => (
          <DownloadRow key={download.id} shelf={shelf} download={download} />
        ))}
      </ul>
    </section>
  );
}

export function DownloadRow({ shelf, download }: { shelf: Shelf; download: Download }) {
  const busy = useCell(shelf.asking).has(`download ${download.id}`);
  const name = download.target || download.source;
  const part = percent(download);
  const cancel = (): void => {
    void shelf.steer(download, "cancel").then((done) => done && focusFirst("downloads-title", "catalogue-search"));
  };
  return (
    <li className="model-row" data-download={download.id} data-state={download.state}>
      <div className="model-row-head">
        <h3>{name}</h3>
        <span className="model-row-state">
          {phaseWords(download)}
          {part !== null && ` · ${part} %`}
        </span>
      </div>
      {download.source !== name && <p className="model-why breakable">{download.source}</p>}
      <progress
        className="bar"
        aria-label={`${name}: ${phaseWords(download)}`}
        max={100}
        {...(part === null ? (download.state === "running" ? {} : { value: 0 }) : { value: part })}
      />
      <div className="model-row-foot">
        <p className="model-figures">{progressWords(download)}</p>
        <span className="model-actions">
          <PauseOrResume shelf={shelf} download={download} name={name} busy={busy} />
          {download.done > 0 && download.state !== "failed" ? (
            <ConfirmButton
              label={`Cancel the download of ${name}`}
              question={`Throw away ${formatBytes(download.done)}?`}
              yes="Throw away"
              no="Keep"
              busy={busy}
              onYes={cancel}
            >
              Cancel
            </ConfirmButton>
          ) : (
            <button type="button" className="button slim" aria-disabled={busy} aria-label={`${download.state === "failed" ? "Put away" : "Cancel"} the download of ${name}`} onClick={cancel}>
              {download.state === "failed" ? "Put away" : "Cancel"}
            </button>
          )}
        </span>
      </div>
      {download.error && (
        <div className="box bad" role="alert">
          <p>{download.error.message}</p>
          {download.error.next_step && <p className="toast-step">{download.error.next_step}</p>}
        </div>
      )}
    </li>
  );
}

interface PauseProps {
  shelf: Shelf;
  download: Download;
  name: string;
  busy: boolean;
}

/** One button in one place, so that the focus stays on it. */
function PauseOrResume({ shelf, download, name, busy }: PauseProps) {
  const going = download.state === "running" || download.state === "queued";
  const [label, how] = going ? (["Pause", "pause"] as const) : ([download.state === "failed" ? "Try again" : "Resume", "resume"] as const);
  return (
    <button
      type="button"
      className="button slim"
      aria-disabled={busy}
      aria-label={`${label}: ${name}`}
      onClick={() => void shelf.steer(download, how)}
    >
      <Icon name={going ? "pause" : download.state === "failed" ? "retry" : "play"} /> {label}
    </button>
  );
}
