/*
 * The way to the models, and a word of what is being downloaded.
 * Promises: says what runs, not what waits behind it. Does not cover: the downloads themselves.
 */
import { useCell } from "../cell";
import type { Shelf } from "../models/shelf";
import { isActive } from "../models/transfers";
import { percent } from "../models/words";
import { Icon } from "../page/icons";
import type { Download } from "../wire/models";
import { RoomLink } from "./room-link";

interface Props {
  shelf: Shelf;
  shown: boolean;
  onOpen: () => void;
}

/** "42 %" of the one that runs, "2 under way" of several, "" of none. */
export function underWay(downloads: readonly Download[]): string {
  const active = downloads.filter(isActive);
  if (active.length !== 1 || !active[0]) return active.length === 0 ? "" : `${active.length} under way`;
  if (active[0].state === "paused") return "paused";
  const part = percent(active[0]);
  return part === null ? "1 under way" : `${part} %`;
}

export function ModelsLink({ shelf, shown, onOpen }: Props) {
  const words = underWay(useCell(shelf.transfers.list));
  return (
    <RoomLink name="models-link" href="#/models" shown={shown} words={words} onOpen={onOpen}>
      <Icon name="box" /> Models
    </RoomLink>
  );
}
