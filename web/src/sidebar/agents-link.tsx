/*
 * The way to the agents, and a word of those that wait for a person, as far as it is known.
 * Promises: asks for nothing by itself. Does not cover: the agents themselves.
 */
import type { Agents } from "../agent/agents";
import { useCell } from "../cell";
import { Icon } from "../page/icons";
import type { Run } from "../wire/agent";
import { RoomLink } from "./room-link";

interface Props {
  agents: Agents;
  shown: boolean;
  onOpen: () => void;
}

/** "1 waits", else "2 running"; "" where nothing is under way. */
export function agentsWords(runs: readonly Run[] | null): string {
  const waiting = runs?.filter(({ state }) => state === "waiting").length ?? 0;
  if (waiting > 0) return waiting === 1 ? "1 waits" : `${waiting} wait`;
  const running = runs?.filter(({ state }) => state === "running").length ?? 0;
  return running > 0 ? `${running} running` : "";
}

export function AgentsLink({ agents, shown, onOpen }: Props) {
  const words = agentsWords(useCell(agents.runs));
  return (
    <RoomLink name="agents-link" href="#/agents" shown={shown} words={words} onOpen={onOpen}>
      <Icon name="hand" /> Agents
    </RoomLink>
  );
}
