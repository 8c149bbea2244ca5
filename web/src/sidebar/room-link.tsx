/*
 * A way to one of the page's other rooms, with a word of how things are there.
 * Promises: a real link, so that it can be opened in another tab. Does not cover: the words (models-link.tsx, machine-link.tsx).
 */
import type { ReactNode } from "react";

interface Props {
  /** The class by which it is found: `models-link`, `machine-link`, `knowledge-link`. */
  name: string;
  href: string;
  shown: boolean;
  words: string;
  onOpen: () => void;
  children: ReactNode;
}

export function RoomLink({ name, href, shown, words, onOpen, children }: Props) {
  return (
    <a
      className={`button room-link ${name}`}
      href={href}
      aria-current={shown ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        onOpen();
      }}
    >
      {children}
      {words !== "" && <span className="room-link-words">{words}</span>}
    </a>
  );
}
