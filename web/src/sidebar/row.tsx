/*
 * One conversation in the list.
 * Promises: its title opens it; it can be renamed in its place (Enter keeps, Escape leaves) and deleted; the focus comes back
 * to where it was. Does not cover: undoing a deletion; the toast offers it.
 */
import { useEffect, useRef, useState } from "react";
import { Icon } from "../page/icons";
import type { ConversationHead } from "../wire/contract";

interface Props {
  head: ConversationHead;
  shown: boolean;
  onOpen: () => void;
  onRename: (title: string) => void;
  onRemove: () => void;
}

export function ConversationRow({ head, shown, onOpen, onRename, onRemove }: Props) {
  const [naming, setNaming] = useState(false);
  const renameButton = useRef<HTMLButtonElement>(null);
  const wasNaming = useRef(false);
  const title = head.title || "New conversation";

  useEffect(() => {
    if (wasNaming.current && !naming) renameButton.current?.focus();
    wasNaming.current = naming;
  }, [naming]);

  if (naming) {
    const finish = (name: string): void => {
      setNaming(false);
      if (name.trim() !== "" && name.trim() !== head.title) onRename(name.trim());
    };
    return (
      <li className="row naming">
        <input
          aria-label="New title"
          defaultValue={title}
          maxLength={200}
          autoFocus
          onFocus={(event) => event.target.select()}
          onBlur={(event) => finish(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.nativeEvent.isComposing) {
              // Or the same key would press the button that the focus comes back to.
              event.preventDefault();
              finish(event.currentTarget.value);
            } else if (event.key === "Escape") {
              event.preventDefault();
              event.currentTarget.value = title;
              setNaming(false);
            }
          }}
        />
      </li>
    );
  }
  return (
    <li className={`row ${shown ? "shown" : ""}`}>
      <a
        href={`#/c/${encodeURIComponent(head.id)}`}
        aria-current={shown ? "page" : undefined}
        title={title}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          onOpen();
        }}
      >
        {title}
      </a>
      <span className="row-actions">
        <button ref={renameButton} type="button" className="icon-button small" aria-label={`Rename “${title}”`} title="Rename" onClick={() => setNaming(true)}>
          <Icon name="pencil" />
        </button>
        <button type="button" className="icon-button small" aria-label={`Delete “${title}”`} title="Delete" onClick={onRemove}>
          <Icon name="trash" />
        </button>
      </span>
    </li>
  );
}
