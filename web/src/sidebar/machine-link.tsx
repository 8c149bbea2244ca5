/*
 * The way to the machine, and a word of what is in its memory.
 * Promises: says no more than the status that is asked for anyway. Does not cover: the machine itself.
 */
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import { Icon } from "../page/icons";
import type { Status } from "../wire/contract";
import { RoomLink } from "./room-link";

interface Props {
  desk: Desk;
  shown: boolean;
  onOpen: () => void;
}

/** "2 waiting", else "1 in memory"; "" where nothing is known or there. */
export function machineWords(status: Status | null): string {
  if (!status) return "";
  if (status.waiting > 0) return `${status.waiting} waiting`;
  return status.models.length > 0 ? `${status.models.length} in memory` : "";
}

export function MachineLink({ desk, shown, onOpen }: Props) {
  const words = machineWords(useCell(desk.status));
  return (
    <RoomLink name="machine-link" href="#/machine" shown={shown} words={words} onOpen={onOpen}>
      <Icon name="chip" /> Machine
    </RoomLink>
  );
}
