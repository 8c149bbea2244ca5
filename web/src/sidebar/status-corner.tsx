/*
 * How the machine is: which model is in memory, and how much memory all of it takes.
 * Promises: asks each ten seconds, and only while the page is looked at. Does not cover: GPUs; the status has none yet.
 */
import { useEffect } from "react";
import { useCell } from "../cell";
import type { Desk } from "../conversation/desk";
import { formatBytes } from "../format";
import { connection } from "../session/connection";
import type { EngineStatus, Status } from "../wire/contract";

const EACH_MS = 10_000;

const STATES: Record<EngineStatus["state"], string> = {
  starting: "is being loaded",
  ready: "in memory",
  draining: "ends its answers, then leaves",
  stopping: "is being put away",
  backing_off: "failed; will be tried again",
  broken: "does not start",
};

function worst(engines: readonly EngineStatus[]): "calm" | "busy" | "bad" {
  if (engines.some((engine) => engine.state === "broken")) return "bad";
  return engines.some((engine) => engine.state !== "ready") ? "busy" : "calm";
}

function Lines({ status }: { status: Status }) {
  const total = status.models.reduce((sum, engine) => sum + (engine.memory_bytes ?? 0), status.memory_bytes);
  return (
    <>
      {status.models.length === 0 && <span className="status-line">No model in memory</span>}
      {status.models.map((engine) => (
        <span className="status-line" key={engine.name}>
          <b>{engine.name}</b> {STATES[engine.state]}
        </span>
      ))}
      <span className="status-line faint">
        {formatBytes(total)} used, {formatBytes(status.machine.memory_available_bytes)} free
        {status.waiting > 0 && ` · ${status.waiting} waiting`}
      </span>
    </>
  );
}

export function StatusCorner({ desk }: { desk: Desk }) {
  const status = useCell(desk.status);
  const here = useCell(connection) === "here";

  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === "visible" && connection.get() === "here") void desk.refreshStatus();
    };
    const timer = setInterval(look, EACH_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [desk]);

  const mood = !here ? "bad" : status ? worst(status.models) : "busy";
  return (
    <div className="status" role="group" aria-label="This machine" data-mood={mood}>
      {status && here ? (
        <Lines status={status} />
      ) : (
        <span className="status-line">{here ? "Asking the daemon …" : "The daemon is not answering"}</span>
      )}
    </div>
  );
}
