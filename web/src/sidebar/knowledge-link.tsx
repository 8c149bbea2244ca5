/*
 * The way to the knowledge, and a word of what is being taken in.
 * Promises: says no more than is known anyway. Does not cover: the knowledge itself.
 */
import { useCell } from "../cell";
import type { Collections } from "../knowledge/collections";
import { sidebarWords } from "../knowledge/words";
import { Icon } from "../page/icons";
import { RoomLink } from "./room-link";

interface Props {
  collections: Collections;
  shown: boolean;
  onOpen: () => void;
}

export function KnowledgeLink({ collections, shown, onOpen }: Props) {
  const words = sidebarWords(useCell(collections.list));
  return (
    <RoomLink name="knowledge-link" href="#/knowledge" shown={shown} words={words} onOpen={onOpen}>
      <Icon name="book" /> Knowledge
    </RoomLink>
  );
}
