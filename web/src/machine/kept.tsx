/*
 * The KV caches that are kept on the disk: how much of what is allowed, of which conversations, and a button that deletes them.
 * Promises: deleting asks once and says what it costs: time, nothing else. Does not cover: when they are kept (docs/residency.md).
 */
import { useCell } from "../cell";
import { formatCount, formatDay, formatMemory } from "../format";
import { ConfirmButton } from "../models/confirm";
import { focusFirst } from "../models/focus";
import { Icon } from "../page/icons";
import type { Kept } from "../wire/machine";
import type { Machine } from "./machine";

export function KeptCaches({ machine, gone }: { machine: Machine; gone: boolean }) {
  const kept = useCell(machine.kept);
  const busy = useCell(machine.asking).has("kept") || gone;
  if (!kept) return null;
  return (
    <section className="models-section" aria-labelledby="kept-title">
      <div className="section-head">
        <h2 id="kept-title" tabIndex={-1}>
          Kept KV caches
        </h2>
        {kept.rows.length > 0 && (
          <ConfirmButton
            label="Delete all kept KV caches"
            question={`Delete ${kept.rows.length === 1 ? "it" : `all ${kept.rows.length}`}? Only time is lost: what they hold is read again.`}
            yes="Delete"
            no="Keep"
            busy={busy}
            onYes={() => void machine.clearKept().then((done) => done && focusFirst("kept-title"))}
          >
            <Icon name="trash" /> Delete all
          </ConfirmButton>
        )}
      </div>
      {kept.quota === 0 ? (
        <p className="quiet">
          None are kept: the setting <code>kv_quota_mib</code> is 0.
        </p>
      ) : (
        <>
          <progress className="bar" aria-label="Kept KV caches, of what is allowed" max={kept.quota} value={Math.min(kept.bytes, kept.quota)} />
          <p className="model-figures">
            {formatMemory(kept.bytes)} of {formatMemory(kept.quota)} allowed · {kept.rows.length === 0 ? "none yet: they are written when that is worth it" : `${kept.rows.length} kept`}
          </p>
          {kept.rows.length > 0 && <Rows machine={machine} kept={kept} />}
        </>
      )}
    </section>
  );
}

function Rows({ machine, kept }: { machine: Machine; kept: Kept }) {
  const heads = useCell(machine.desk.list.view).items;
  const titles = new Map(heads.map((head) => [head.id, head.title || "New conversation"]));
  const now = new Date();
  return (
    <details className="details">
      <summary>Of which conversations</summary>
      <ul className="machine-list">
        {kept.rows.map((row, index) => (
          <li key={`${row.conversation} ${index}`}>
            <p>
              {row.conversation ? <a href={`#/c/${encodeURIComponent(row.conversation)}`}>{titles.get(row.conversation) ?? "An older conversation"}</a> : "Another program’s"}
              <span className="quiet">
                {" "}
                {formatCount(row.tokens)} tokens, {formatMemory(row.bytes)}, last used {formatDay(row.usedAt, now).toLowerCase()}
              </span>
            </p>
          </li>
        ))}
      </ul>
    </details>
  );
}
