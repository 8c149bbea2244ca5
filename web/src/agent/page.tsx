/*
 * The page of agents: what runs or ran, what agents can do here and may, what they remember, their timers.
 * Promises: whoever comes finds the focus on it; a run that was begun elsewhere can be followed, decided about and stopped here;
 * what only a key may do stands as its command. Does not cover: the address and the way in (route.ts, sidebar.tsx).
 */
import { useCallback, useEffect, useState } from "react";
import { useCell } from "../cell";
import { go } from "../conversation/route";
import { formatCount, formatDay } from "../format";
import { useCommand } from "../knowledge/command";
import { ConfirmButton } from "../models/confirm";
import { Icon } from "../page/icons";
import { Room } from "../page/room";
import { connection } from "../session/connection";
import type { Run, Timer, Tool } from "../wire/agent";
import type { Agents } from "./agents";
import { RunFollower } from "./follower";
import { MemoryView } from "./memory-view";
import { RunSteps } from "./run";
import { ASKS, COMMANDS, reachWords, RISKS, stateWords } from "./words";

export function AgentsPage({ agents, onMenu }: { agents: Agents; onMenu: () => void }) {
  const look = useCallback((seen: boolean): void => agents.look(seen), [agents]);
  return (
    <Room name="agents" title="Agents" onMenu={onMenu} look={look}>
      <Inside agents={agents} />
    </Room>
  );
}

function Inside({ agents }: { agents: Agents }) {
  const runs = useCell(agents.runs);
  const tools = useCell(agents.tools);
  const timers = useCell(agents.timers);
  const refused = useCell(agents.refused);
  const gone = useCell(connection) === "gone";
  if (refused && refused.code !== "unreachable") {
    return (
      <div className="models-column">
        <div className="box bad" role="alert">
          <p>{refused.message}</p>
          {refused.next_step && <p className="toast-step">{refused.next_step}</p>}
        </div>
      </div>
    );
  }
  if (!runs || !tools) return <p className="models-column quiet">{gone ? "Nothing is known until the daemon answers." : "Looking …"}</p>;
  return (
    <div className="models-column" data-stale={gone}>
      <section className="models-section" aria-labelledby="runs-title">
        <h2 id="runs-title">Runs</h2>
        {runs.length === 0 ? (
          <p className="quiet">
            No agent has run yet. Turn on <b>Act</b> beside the message field, or run <code>homefire agent "a task"</code>.
          </p>
        ) : (
          <ul className="model-rows">
            {runs.map((run) => (
              <RunRow key={run.id} agents={agents} run={run} />
            ))}
          </ul>
        )}
      </section>
      <MemoryView memory={agents.memory} />
      {timers.length > 0 && <Timers agents={agents} timers={timers} />}
      <section className="models-section" aria-labelledby="tools-title">
        <h2 id="tools-title">Tools</h2>
        <p className="quiet">What agents can do here. Granting a tool, and the folders, hosts and recipients it reaches, needs the command line.</p>
        {tools.length === 0 ? (
          <p className="quiet">There are no tools.</p>
        ) : (
          <ul className="model-rows">
            {tools.map((tool) => (
              <ToolRow key={tool.name} tool={tool} />
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}

/** The first line of a task, as the name of its run. */
const nameOf = (run: Run): string => {
  const line = run.task.split("\n", 1)[0] ?? "";
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
};

export function RunRow({ agents, run }: { agents: Agents; run: Run }) {
  const [open, setOpen] = useState(false);
  const [follower] = useState(() => new RunFollower(run.id, () => void agents.refresh(), () => undefined));
  useEffect(() => () => follower.leave(), [follower]);
  const live = run.state === "running" || run.state === "waiting";
  const figures = `${formatDay(run.createdAt, new Date())} · ${formatCount(run.steps)} steps · ${formatCount(run.tokens)} tokens${run.model ? ` · ${run.model}` : ""}`;
  return (
    <li className="model-row" data-run={run.id} data-state={run.state}>
      <div className="model-row-head">
        <h3>{nameOf(run)}</h3>
        <span className="model-row-state">{stateWords(run)}</span>
      </div>
      <p className="model-figures">{figures}</p>
      {run.answer && <p className="memory-text">{run.answer}</p>}
      {open && <RunSteps follower={follower} live={live} />}
      <div className="model-actions">
        {run.conversation && (
          <button type="button" className="button slim" aria-label={`Open the conversation of: ${nameOf(run)}`} onClick={() => go(run.conversation)}>
            Conversation
          </button>
        )}
        <button type="button" className="button slim" aria-expanded={open} aria-label={`Steps of: ${nameOf(run)}`} onClick={() => setOpen(!open)}>
          Steps
        </button>
        {live && (
          <button type="button" className="button slim" aria-label={`Stop: ${nameOf(run)}`} onClick={() => void agents.stopRun(run.id)}>
            <Icon name="stop" /> Stop
          </button>
        )}
        {run.state === "interrupted" && (
          <button type="button" className="button slim" aria-label={`Go on with: ${nameOf(run)}`} onClick={() => void agents.resumeRun(run.id)}>
            <Icon name="play" /> Go on
          </button>
        )}
        <ConfirmButton label={`Remove: ${nameOf(run)}`} question="Forget its steps and results?" yes="Remove" no="Keep" busy={false} onYes={() => void agents.removeRun(run.id)}>
          <Icon name="trash" /> Remove
        </ConfirmButton>
      </div>
    </li>
  );
}

export function ToolRow({ tool }: { tool: Tool }) {
  const allowed = tool.whyNot === "";
  const change = useCommand({
    label: tool.granted ? `Take ${tool.name} back` : `Grant ${tool.name}`,
    word: tool.granted ? "Take back" : "Grant",
    command: tool.granted ? COMMANDS.deny(tool) : COMMANDS.allow(tool),
    children: <p>{tool.granted ? "From then on no agent of yours uses it. Questions about it that wait are withdrawn." : "Say what it may reach. With --ask you are asked every time."}</p>,
  });
  return (
    <li className="model-row" data-tool={tool.name} data-allowed={allowed}>
      <div className="model-row-head">
        <h3>{tool.name}</h3>
        <span className="tags">
          <span className="tag">{RISKS[tool.risk] ?? tool.risk}</span>
          {tool.private && <span className="tag">private</span>}
          {tool.leadsOut && <span className="tag">leads out</span>}
        </span>
        <span className="model-row-state">{allowed ? (ASKS[tool.asks] ?? tool.asks) : "Not allowed"}</span>
      </div>
      <p className="model-figures">{tool.description}</p>
      {!allowed && <p className="model-why">{tool.whyNot}</p>}
      {allowed && tool.asksWhy && <p className="model-why">{tool.asksWhy}</p>}
      {reachWords(tool) && <p className="model-why breakable">{reachWords(tool)}</p>}
      <div className="model-actions">{change.button}</div>
      {change.panel}
    </li>
  );
}

function Timers({ agents, timers }: { agents: Agents; timers: readonly Timer[] }) {
  return (
    <section className="models-section" aria-labelledby="timers-title">
      <h2 id="timers-title">Timers</h2>
      <ul className="machine-list">
        {timers.map(({ id, at, text, rung }) => (
          <li key={id}>
            <span>{new Date(at * 1000).toLocaleString("en-GB")}</span> {rung && <b>rang</b>} <span className="breakable">{text}</span>{" "}
            <button type="button" className="button slim" aria-label={`Put away: ${text}`} onClick={() => void agents.putAway(id)}>
              {rung ? "Put away" : "Take off"}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
