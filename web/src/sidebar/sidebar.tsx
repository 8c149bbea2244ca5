/*
 * The conversations: begin, search, open, rename, delete; the ways to the models, the machine, the knowledge and the agents; and below them how the machine is.
 * Promises: everything by keyboard too; a search waits until the typing rests.
 * Does not cover: being a drawer on a narrow screen; workspace.tsx opens and closes it.
 */
import { useEffect, useRef, useState } from "react";
import type { Agents } from "../agent/agents";
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import type { Room } from "../conversation/route";
import { formatDay, groupBy } from "../format";
import type { Collections } from "../knowledge/collections";
import type { Shelf } from "../models/shelf";
import { Flame, Icon } from "../page/icons";
import { ThemeSwitch } from "../page/theme-switch";
import { sayError } from "../page/toasts";
import { logout } from "../session/session";
import { asErrorBody } from "../wire/request";
import { AgentsLink } from "./agents-link";
import { KnowledgeLink } from "./knowledge-link";
import { MachineLink } from "./machine-link";
import { ModelsLink } from "./models-link";
import { ConversationRow } from "./row";
import { StatusCorner } from "./status-corner";

const REST_MS = 220;

interface Props {
  desk: Desk;
  shelf: Shelf;
  collections: Collections;
  agents: Agents;
  shownId: string | null;
  at: Room;
  onOpen: (id: string | null) => void;
  onModels: () => void;
  onMachine: () => void;
  onKnowledge: () => void;
  onAgents: () => void;
  onShortcuts: () => void;
  onClose: () => void;
}

function Search({ desk }: { desk: Desk }) {
  const [words, setWords] = useState(() => desk.list.view.get().query);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => void desk.list.search(words.trim()), REST_MS);
    return () => clearTimeout(timer);
  }, [words, desk]);
  return (
    <label className="search">
      <Icon name="search" />
      <span className="visually-hidden">Search conversations</span>
      <input
        id="search-field"
        type="search"
        placeholder="Search"
        autoComplete="off"
        value={words}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          if (words !== "") setWords("");
          else document.getElementById("composer-field")?.focus();
        }}
      />
    </label>
  );
}

export function Sidebar({ desk, shelf, collections, agents, shownId, at, onOpen, onModels, onMachine, onKnowledge, onAgents, onShortcuts, onClose }: Props) {
  const list = useCell(desk.list.view);
  const now = new Date();
  const groups = groupBy(list.items, (head) => formatDay(head.updated_at, now));

  return (
    <>
      <div className="sidebar-head">
        <a className="brand" href="#/" onClick={(event) => (event.preventDefault(), onOpen(null))}>
          <Flame />
          <span>Homefire</span>
        </a>
        <button type="button" className="icon-button drawer-only" aria-label="Close the conversations" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <div className="sidebar-tools">
        <button type="button" className="button new-conversation" onClick={() => onOpen(null)}>
          <Icon name="plus" /> New conversation
        </button>
        <ModelsLink shelf={shelf} shown={at === "models"} onOpen={onModels} />
        <MachineLink desk={desk} shown={at === "machine"} onOpen={onMachine} />
        <KnowledgeLink collections={collections} shown={at === "knowledge"} onOpen={onKnowledge} />
        <AgentsLink agents={agents} shown={at === "agents"} onOpen={onAgents} />
        <Search desk={desk} />
      </div>
      <nav className="conversations" aria-label="Conversations">
        {groups.map((group) => (
          <section key={group.heading} aria-label={group.heading}>
            <h2>{group.heading}</h2>
            <ul>
              {group.items.map((head) => (
                <ConversationRow
                  key={head.id}
                  head={head}
                  shown={head.id === shownId}
                  onOpen={() => onOpen(head.id)}
                  onRename={(title) => void desk.change(head.id, { title })}
                  onRemove={() => void desk.remove(head)}
                />
              ))}
            </ul>
          </section>
        ))}
        {list.more && (
          <button type="button" className="button load-more" disabled={list.loading} onClick={() => void desk.list.loadMore()}>
            Load more
          </button>
        )}
        {list.loaded && list.items.length === 0 && (
          <p className="quiet" role="status">
            {list.query ? `Nothing found for “${list.query}”.` : "Conversations will stand here."}
          </p>
        )}
        {list.error && list.error.code !== "unreachable" && <p className="quiet">{list.error.message}</p>}
      </nav>
      <footer className="sidebar-foot">
        <StatusCorner desk={desk} />
        <div className="sidebar-buttons">
          <ThemeSwitch />
          <button type="button" className="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={onShortcuts}>
            <Icon name="question" />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label="Log out"
            title="Log out of this browser"
            onClick={() => void logout().catch((error: unknown) => sayError(asErrorBody(error)))}
          >
            <Icon name="leave" />
          </button>
        </div>
      </footer>
    </>
  );
}

