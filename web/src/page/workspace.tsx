/*
 * The page once one is logged in: the conversations beside the one that is shown, or beside the models, the machine, the knowledge or the agents.
 * Promises: below 720 px the conversations are a drawer, and what it covers cannot be reached; everything begins afresh when
 * the daemon has come back. Does not cover: logging in (login-screen.tsx).
 */
import { useCallback, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { Agents } from "../agent/agents";
import { AgentsPage } from "../agent/page";
import { useCell } from "../cell";
import { Desk } from "../conversation/desk";
import { runUnderWay, type LiveConversation } from "../conversation/live";
import { go, goToAgents, goToKnowledge, goToMachine, goToModels, room, route, type Room } from "../conversation/route";
import { Knowledge } from "../knowledge/knowledge";
import { KnowledgePage } from "../knowledge/page";
import { Machine } from "../machine/machine";
import { MachinePage } from "../machine/page";
import { ModelsPage } from "../models/page";
import { Shelf } from "../models/shelf";
import { connection, returns } from "../session/connection";
import { Sidebar } from "../sidebar/sidebar";
import { Composer } from "../thread/composer";
import { Empty } from "../thread/empty";
import { Thread } from "../thread/thread";
import { ConversationSettings } from "./conversation-settings";
import { Icon } from "./icons";
import { ModelPicker } from "./model-picker";
import { ShortcutList, useShortcuts } from "./shortcuts";
import { ToastCorner } from "./toast-corner";
import { useNarrow } from "./narrow";

interface HeadProps {
  desk: Desk;
  id: string | null;
  title: string;
  model: string | null;
  system: string;
  onMenu: () => void;
}

function Head({ desk, id, title, model, system, onMenu }: HeadProps) {
  return (
    <header className="head">
      <button type="button" id="menu-button" className="icon-button drawer-only" aria-label="Open the conversations" onClick={onMenu}>
        <Icon name="menu" />
      </button>
      {title === "" ? (
        <span className="head-title" />
      ) : (
        <h1 className="head-title" title={title}>
          {title}
        </h1>
      )}
      <ModelPicker desk={desk} chosen={model} onChoose={(name) => void desk.change(id, { model: name })} />
      <ConversationSettings key={id ?? "new"} desk={desk} id={id} system={system} />
    </header>
  );
}

/** The main column of a conversation that exists. */
function Existing({ desk, live, gone, onMenu }: { desk: Desk; live: LiveConversation; gone: boolean; onMenu: () => void }) {
  const view = useCell(live.view);
  const title = view.title || "New conversation";
  const run = runUnderWay(view);
  useEffect(() => {
    document.title = view.title ? `${view.title} · Homefire` : "Homefire";
  }, [view.title]);
  return (
    <>
      <Head desk={desk} id={live.id} title={title} model={view.model} system={view.system ?? ""} onMenu={onMenu} />
      <Thread key={live.id} desk={desk} live={live} />
      <Composer
        key="composer"
        desk={desk}
        id={live.id}
        busy={view.busy || run !== null}
        gone={gone}
        onSend={(text) => void desk.sendAfterShown(live, text)}
        onStop={() => desk.stop(live)}
        onTell={run !== null && !view.busy ? (text) => void desk.tell(live, run, text) : undefined}
      />
    </>
  );
}

function New({ desk, gone, onMenu }: { desk: Desk; gone: boolean; onMenu: () => void }) {
  const model = useCell(desk.newModel);
  const system = useCell(desk.newSystem);
  const models = useCell(desk.models);
  const known = models.models.some((one) => one.name === model) ? model : null;
  useEffect(() => {
    document.title = "Homefire";
  }, []);
  return (
    <>
      <Head desk={desk} id={null} title="" model={known} system={system} onMenu={onMenu} />
      <Empty onAsk={(text) => void desk.send(null, text)} />
      <Composer key="composer" desk={desk} id={null} busy={false} gone={gone} onSend={(text) => void desk.send(null, text)} onStop={() => undefined} />
    </>
  );
}

const SKIPS: Record<Room, { to: string; words: string }> = {
  conversations: { to: "composer-field", words: "Skip to the message field" },
  models: { to: "models-main", words: "Skip to the models" },
  machine: { to: "machine-main", words: "Skip to the machine" },
  knowledge: { to: "knowledge-main", words: "Skip to the knowledge" },
  agents: { to: "agents-main", words: "Skip to the agents" },
};

export function Workspace() {
  const [desk] = useState(() => new Desk());
  const [shelf] = useState(() => new Shelf(desk));
  const id = useCell(route);
  const [machine] = useState(() => new Machine(desk));
  const [knowledge] = useState(() => new Knowledge());
  const [agents] = useState(() => new Agents());
  const at = useCell(room);
  const gone = useCell(connection) === "gone";
  const narrow = useNarrow();
  const [drawer, setDrawer] = useState(false);
  const [help, setHelp] = useState(false);
  const spoken = useCell(desk.spoken);
  const live = id === null ? null : desk.at(id);
  const drawerOpen = narrow && drawer;

  useEffect(() => {
    void desk.refresh();
    return returns.watch(() => void desk.refresh());
  }, [desk]);

  useEffect(() => {
    // Downloads that an earlier visit began: their end is of interest wherever one is.
    if (room.get() !== "models") shelf.transfers.look(false);
    const stopWatching = returns.watch(() => {
      shelf.transfers.look(room.get() === "models");
      if (room.get() === "models") void shelf.refresh();
    });
    return () => {
      stopWatching();
      shelf.transfers.stop();
    };
  }, [shelf]);

  useEffect(() => {
    const stopWatching = returns.watch(() => room.get() === "knowledge" && void knowledge.collections.refresh());
    return () => {
      stopWatching();
      knowledge.collections.stop();
      knowledge.finder.stop();
    };
  }, [knowledge]);

  useEffect(() => {
    if (id !== null) void desk.freshen(id);
  }, [desk, id]);

  const wasOpen = useRef(false);
  useEffect(() => {
    if (drawerOpen) document.querySelector<HTMLElement>(".sidebar .new-conversation")?.focus();
    else if (wasOpen.current) document.getElementById("menu-button")?.focus();
    wasOpen.current = drawerOpen;
  }, [drawerOpen]);

  const open = useCallback((next: string | null) => {
    go(next);
    setDrawer(false);
    if (matchMedia("(pointer: fine)").matches) document.getElementById("composer-field")?.focus();
  }, []);
  const openModels = useCallback(() => {
    goToModels();
    setDrawer(false);
  }, []);
  const openMachine = useCallback(() => {
    goToMachine();
    setDrawer(false);
  }, []);
  const openKnowledge = useCallback(() => {
    goToKnowledge();
    setDrawer(false);
  }, []);
  const openAgents = useCallback(() => {
    goToAgents();
    setDrawer(false);
  }, []);
  const openMenu = useCallback(() => setDrawer(true), []);

  useShortcuts({
    search: () => {
      // At once, so that the next key pressed falls into the field.
      flushSync(() => setDrawer(true));
      const field = document.getElementById("search-field");
      if (field instanceof HTMLInputElement) {
        field.focus();
        field.select();
      }
    },
    begin: () => open(null),
    models: openModels,
    machine: openMachine,
    knowledge: openKnowledge,
    agents: openAgents,
    stop: () => (drawerOpen ? setDrawer(false) : live && desk.stop(live)),
    help: () => setHelp(true),
  });

  return (
    <div className="workspace">
      <a
        className="skip"
        href={`#${SKIPS[at].to}`}
        onClick={(event) => {
          event.preventDefault();
          document.getElementById(SKIPS[at].to)?.focus();
        }}
      >
        {SKIPS[at].words}
      </a>
      <aside className={`sidebar ${drawerOpen ? "open" : ""}`} aria-label="Conversations and this machine" inert={narrow && !drawerOpen}>
        <Sidebar desk={desk} shelf={shelf} collections={knowledge.collections} agents={agents} shownId={id} at={at} onOpen={open} onModels={openModels} onMachine={openMachine} onKnowledge={openKnowledge} onAgents={openAgents} onShortcuts={() => setHelp(true)} onClose={() => setDrawer(false)} />
      </aside>
      {drawerOpen && <div className="scrim" onClick={() => setDrawer(false)} />}
      <main className="main" inert={drawerOpen}>
        {at === "models" ? (
          <ModelsPage shelf={shelf} onMenu={openMenu} />
        ) : at === "machine" ? (
          <MachinePage machine={machine} onMenu={openMenu} />
        ) : at === "knowledge" ? (
          <KnowledgePage knowledge={knowledge} onMenu={openMenu} />
        ) : at === "agents" ? (
          <AgentsPage agents={agents} onMenu={openMenu} />
        ) : live ? (
          <Existing desk={desk} live={live} gone={gone} onMenu={openMenu} />
        ) : (
          <New desk={desk} gone={gone} onMenu={openMenu} />
        )}
      </main>
      <ToastCorner />
      <ShortcutList open={help} onClose={() => setHelp(false)} />
      <div className="visually-hidden" aria-live="polite" role="log">
        {spoken}
      </div>
    </div>
  );
}
