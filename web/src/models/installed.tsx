/*
 * The models that are here, and how much of the disk they take.
 * Promises: removing asks once and says what it frees; a pinned model and the built-in one show no way to remove them.
 * Does not cover: loading and unloading; a model is loaded when it is asked something.
 */
import { useCell } from "../cell";
import { formatBytes, formatCount } from "../format";
import { Icon } from "../page/icons";
import type { Disk, Model, Roles } from "../wire/contract";
import { ConfirmButton } from "./confirm";
import { focusFirst } from "./focus";
import type { Check, Shelf } from "./shelf";
import { diskWords, factWords, roleName } from "./words";

export function Installed({ shelf }: { shelf: Shelf }) {
  const list = useCell(shelf.desk.models);
  return (
    <section className="models-section" aria-labelledby="installed-title">
      <div className="section-head">
        <h2 id="installed-title" tabIndex={-1}>
          On this machine
        </h2>
        {list.disk && <DiskUse disk={list.disk} />}
      </div>
      <ul className="model-rows">
        {list.models.map((model) => (
          <InstalledRow key={model.name} shelf={shelf} model={model} roles={rolesOf(model.name, list.roles ?? {})} />
        ))}
      </ul>
    </section>
  );
}

export function DiskUse({ disk }: { disk: Disk }) {
  const words = diskWords(disk);
  const most = disk.quota_bytes > 0 ? disk.quota_bytes : disk.used_bytes + disk.free_bytes;
  return (
    <div className="disk">
      {most > 0 && <progress className="bar" aria-label="Disk used by models" max={most} value={Math.min(disk.used_bytes, most)} />}
      <span className="model-figures">{words}</span>
    </div>
  );
}

/** The roles that a model has. */
export function rolesOf(name: string, roles: Roles): string[] {
  return Object.keys(roles).filter((role) => roles[role] === name);
}

export function InstalledRow({ shelf, model, roles }: { shelf: Shelf; model: Model; roles: readonly string[] }) {
  const check = useCell(shelf.checks).get(model.name);
  const busy = useCell(shelf.asking).has(model.name);
  const builtIn = model.source === "built-in";
  return (
    <li className="model-row" data-model={model.name}>
      <div className="model-row-head">
        <h3>{model.name}</h3>
        <span className="tags">
          {model.resident && <span className="tag">in memory</span>}
          {roles.map((role) => (
            <span className="tag plain" key={role}>
              {roleName(role)}
            </span>
          ))}
          {model.pinned && <span className="tag plain">pinned</span>}
          {builtIn && <span className="tag plain">built in</span>}
          {model.external && <span className="tag plain">in place</span>}
        </span>
      </div>
      <p className="model-figures">{factWords(model)}</p>
      {model.description && <p className="model-why">{model.description}</p>}
      <div className="model-row-foot">
        <Details model={model} />
        <span className="model-actions">
          <CheckButton shelf={shelf} name={model.name} check={check} />
          {!builtIn && (
            <button
              type="button"
              className="button slim"
              aria-pressed={model.pinned === true}
              aria-disabled={busy}
              aria-label={`Keep ${model.name} pinned`}
              title={model.pinned ? "Pinned: it cannot be removed" : "Pin it, so that it cannot be removed"}
              onClick={() => void shelf.pin(model.name, !model.pinned)}
            >
              <Icon name="pin" /> {model.pinned ? "Pinned" : "Pin"}
            </button>
          )}
          {!builtIn && !model.pinned && (
            <ConfirmButton
              label={`Remove ${model.name}`}
              question={model.external ? "Forget it? Its files stay where they are." : `Remove it for good? ${formatBytes(model.size_bytes)} on the disk.`}
              yes={model.external ? "Forget" : "Remove"}
              no="Keep"
              busy={busy}
              onYes={() => void shelf.remove(model.name).then((gone) => gone && focusFirst("installed-title"))}
            >
              <Icon name="trash" /> Remove
            </ConfirmButton>
          )}
        </span>
      </div>
      {check?.state === "running" && <progress className="bar" aria-label={`Verifying ${model.name}`} {...(check.total > 0 ? { max: check.total, value: check.done } : {})} />}
      {check?.state === "bad" && (
        <div className="box bad">
          <p>Damaged: {check.files.join(", ")}</p>
          <p className="toast-step">Remove it and get it again.</p>
        </div>
      )}
    </li>
  );
}

function CheckButton({ shelf, name, check }: { shelf: Shelf; name: string; check: Check | undefined }) {
  const running = check?.state === "running";
  const word = running ? "Verifying …" : check?.state === "good" ? "Intact" : "Verify";
  return (
    <button
      type="button"
      className="button slim"
      aria-label={running ? `Verifying ${name}` : `Verify ${name}`}
      aria-disabled={running}
      title="Read its files again and hold them against their digests"
      onClick={() => void shelf.verify(name)}
    >
      <Icon name="check" /> {word}
    </button>
  );
}

function Details({ model }: { model: Model }) {
  const rows: [string, string][] = [
    ["Architecture", model.architecture ?? ""],
    ["Context", model.context_length ? `${formatCount(model.context_length)} tokens` : ""],
    ["From", model.origin ?? ""],
    ["sha256", model.digest ?? ""],
  ];
  for (const file of model.files ?? []) rows.push(["File", `${file.name}, ${formatBytes(file.size_bytes)}`]);
  return (
    <details className="details">
      <summary aria-label={`Details of ${model.name}`}>Details</summary>
      <dl className="facts">
        {rows
          .filter(([, value]) => value !== "")
          .map(([name, value], index) => (
            <div key={`${name} ${index}`}>
              <dt>{name}</dt>
              <dd className="breakable">{value}</dd>
            </div>
          ))}
      </dl>
    </details>
  );
}
