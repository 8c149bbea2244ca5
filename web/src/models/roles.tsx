/*
 * Which model does what.
 * Promises: only models that can do it stand to choose; a change is told to the daemon at once, and what it did not take does
 * not stay on the screen. Does not cover: which model a conversation talks to; each has its own.
 */
import { useCell } from "../cell";
import type { Model, ModelList } from "../wire/contract";
import type { Shelf } from "./shelf";
import { ROLE_WORDS } from "./words";

/** The models that can have a role. One that has it already stays in the list, whatever it is. */
export function candidates(role: string, list: ModelList): Model[] {
  const kind = role === "embed" ? "embedding" : "chat";
  const can = (model: Model) =>
    (model.kind ?? "chat") === kind && (role !== "vision" || Boolean(model.files?.some((file) => file.role === "mmproj")));
  return list.models.filter((model) => can(model) || list.roles?.[role] === model.name);
}

export function Roles({ shelf }: { shelf: Shelf }) {
  const list = useCell(shelf.desk.models);
  const busy = useCell(shelf.asking).has("roles");
  if (!list.roles) return null;
  return (
    <section className="models-section" aria-labelledby="roles-title">
      <h2 id="roles-title">Roles</h2>
      <div className="roles">
        {Object.entries(ROLE_WORDS).map(([role, { name, what }]) => (
          <label className="field" key={role}>
            <span>{name}</span>
            <select
              className="select"
              aria-disabled={busy}
              value={list.roles?.[role] ?? ""}
              onChange={(event) => void shelf.setRoles({ [role]: event.target.value || null })}
            >
              {(role === "embed" || role === "vision" || !list.roles?.[role]) && <option value="">None</option>}
              {candidates(role, list).map((model) => (
                <option key={model.name} value={model.name}>
                  {model.name}
                </option>
              ))}
            </select>
            <small>{what}</small>
          </label>
        ))}
      </div>
    </section>
  );
}
