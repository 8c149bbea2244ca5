/*
 * Which model answers.
 * Promises: shows what is installed with what one chooses by (size, context, whether it is in memory); arrow keys move,
 * Enter chooses. Does not cover: getting others; the panel leads to the page that does.
 */
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import { goToModels } from "../conversation/route";
import { formatBytes, formatCount, formatParameters } from "../format";
import type { Model } from "../wire/contract";
import { Icon } from "./icons";
import { Popover } from "./popover";

function facts(model: Model): string {
  return [
    model.parameters != null ? `${formatParameters(model.parameters)} parameters` : null,
    model.quantization,
    formatBytes(model.size_bytes),
    model.context_length != null ? `${formatCount(model.context_length)} tokens of context` : null,
  ]
    .filter((fact) => fact)
    .join(" · ");
}

/** Moves among a menu's entries with the arrow keys. */
function moveInMenu(event: React.KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const entries = [...event.currentTarget.querySelectorAll<HTMLElement>("[role^=menuitem]")];
  const index = entries.indexOf(document.activeElement as HTMLElement);
  entries[(index + step + entries.length) % entries.length]?.focus();
}

/** A model as it can be talked to; an adapter is, with its base: BASE+ADAPTER. */
function speaker(model: Model): Model | null {
  if ((model.kind ?? "chat") === "chat") return model;
  return model.kind === "adapter" && model.base ? { ...model, name: `${model.base}+${model.name}`, context_length: null } : null;
}

interface Props {
  desk: Desk;
  chosen: string | null;
  onChoose: (name: string) => void;
}

export function ModelPicker({ desk, chosen, onChoose }: Props) {
  const { models, default: usual } = useCell(desk.models);
  const speaking = models.flatMap((model) => speaker(model) ?? []);
  const name = chosen ?? usual ?? "No model";
  return (
    <Popover
      label={`Model: ${name}`}
      className="button model-button"
      panelRole="menu"
      panelLabel="Models"
      button={
        <>
          <span className="model-name">{name}</span>
          <Icon name="chevronDown" />
        </>
      }
    >
      {(close) => (
        <div className="models" onKeyDown={moveInMenu}>
          {speaking.map((model) => (
            <button
              key={model.name}
              type="button"
              role="menuitemradio"
              aria-checked={model.name === name}
              className="model"
              title={model.description ?? undefined}
              onClick={() => {
                onChoose(model.name);
                close();
              }}
            >
              <span className="model-title">
                {model.name}
                {model.resident && <span className="tag">in memory</span>}
                {model.name === usual && <span className="tag plain">default</span>}
              </span>
              {model.description && <span className="model-line">{model.description}</span>}
              <span className="model-line faint">{facts(model)}</span>
              {model.name === name && <Icon name="check" />}
            </button>
          ))}
          <a
            className="models-more"
            role="menuitem"
            href="#/models"
            onClick={(event) => {
              event.preventDefault();
              close();
              goToModels();
            }}
          >
            More models …
          </a>
        </div>
      )}
    </Popover>
  );
}
