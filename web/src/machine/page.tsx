/*
 * The machine page: what is in memory and why, what waits, how the hardware is, what was decided.
 * Promises: whoever comes finds the focus on it; its two streams run only while it is looked at; a screen reader is told of models
 * that came and went, and of nothing else by itself; it reads in one column on a phone.
 * Does not cover: the address and the way in (route.ts, sidebar.tsx).
 */
import { useCallback, useEffect, useState } from "react";
import { useCell } from "../cell";
import { Room } from "../page/room";
import { connection } from "../session/connection";
import { Crashes } from "./crashes";
import { Decisions } from "./decisions";
import { Elsewhere } from "./elsewhere";
import { KeptCaches } from "./kept";
import type { Machine } from "./machine";
import { MemoryBars } from "./memory";
import { Queue } from "./queue";
import { Residents } from "./residents";
import { Sensors } from "./sensors";

export function MachinePage({ machine, onMenu }: { machine: Machine; onMenu: () => void }) {
  const look = useCallback((seen: boolean): void => machine.look(seen), [machine]);
  return (
    <Room name="machine" title="Machine" onMenu={onMenu} look={look}>
      <Announcer machine={machine} />
      <Inside machine={machine} />
    </Room>
  );
}

function Inside({ machine }: { machine: Machine }) {
  const heard = useCell(machine.heard);
  const refused = useCell(machine.refused);
  const gone = useCell(connection) === "gone";
  const passed = usePassed(heard?.at ?? null);
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
  if (!heard) return <p className="models-column quiet">{gone ? "Nothing is known of the machine until the daemon answers." : "Looking …"}</p>;
  return (
    <div className="models-column" data-stale={gone}>
      {gone && <p className="box">This is how it was when the daemon last answered.</p>}
      <MemoryBars table={heard.table} />
      <Residents machine={machine} table={heard.table} passed={gone ? 0 : passed} gone={gone} />
      <Queue table={heard.table} passed={gone ? 0 : passed} />
      <Sensors machine={machine} />
      <Decisions machine={machine} />
      <KeptCaches machine={machine} gone={gone} />
      <Elsewhere machine={machine} />
      <Crashes machine={machine} />
    </div>
  );
}

function Announcer({ machine }: { machine: Machine }) {
  return (
    <p className="visually-hidden" role="status">
      {useCell(machine.spoken)}
    </p>
  );
}

/** Whole seconds since that moment of `performance.now`; drawn anew each second. */
function usePassed(since: number | null): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return since === null ? 0 : Math.max(0, Math.floor((now - since) / 1000));
}
