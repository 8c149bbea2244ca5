/*
 * How one conversation is answered: the system prompt, the temperature, the longest answer.
 * Promises: sampling is kept in this browser and sent with each message; the system prompt is stored with the conversation;
 * an empty field means the daemon's default. Does not cover: top_p and its kin; the API takes them.
 */
import { useState } from "react";
import type { Desk } from "../conversation/desk";
import { samplings } from "../kept";
import type { Sampling } from "../wire/contract";
import { Icon } from "./icons";
import { Popover } from "./popover";

interface Props {
  desk: Desk;
  id: string | null;
  system: string;
}

function Fields({ desk, id, system, close }: Props & { close: () => void }) {
  const [kept] = useState(() => samplings.read(id));
  const [prompt, setPrompt] = useState(system);
  const [temperature, setTemperature] = useState(kept.temperature?.toString() ?? "");
  const [maxTokens, setMaxTokens] = useState(kept.max_tokens?.toString() ?? "");

  function save(): void {
    const sampling: Sampling = {};
    if (temperature !== "") sampling.temperature = Number(temperature);
    if (maxTokens !== "") sampling.max_tokens = Number(maxTokens);
    samplings.keep(id, sampling);
    if (prompt !== system) void desk.change(id, { system: prompt });
    close();
  }

  return (
    <form
      className="settings"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <label className="field">
        <span>System prompt</span>
        <textarea rows={4} value={prompt} placeholder="How it should behave in this conversation" onChange={(event) => setPrompt(event.target.value)} />
      </label>
      <div className="field-row">
        <label className="field">
          <span>Temperature</span>
          <input type="number" min={0} max={2} step={0.05} inputMode="decimal" placeholder="default" value={temperature} onChange={(event) => setTemperature(event.target.value)} />
          <small>0 is strict, 2 is wild</small>
        </label>
        <label className="field">
          <span>Longest answer</span>
          <input type="number" min={1} max={1_000_000} step={1} inputMode="numeric" placeholder="default" value={maxTokens} onChange={(event) => setMaxTokens(event.target.value)} />
          <small>in tokens</small>
        </label>
      </div>
      <div className="settings-actions">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button primary">
          Save
        </button>
      </div>
    </form>
  );
}

export function ConversationSettings(props: Props) {
  return (
    <Popover
      label="Settings of this conversation"
      className="icon-button"
      panelRole="dialog"
      panelLabel="Settings of this conversation"
      button={<Icon name="sliders" />}
    >
      {(close) => <Fields {...props} close={close} />}
    </Popover>
  );
}
