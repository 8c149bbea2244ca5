/*
 * What crashed lately, and when it was back.
 * Promises: nothing stands here where nothing crashed. Does not cover: what to do about it; the daemon does that by itself.
 */
import { useCell } from "../cell";
import { formatSeconds } from "../format";
import type { Crash } from "../wire/machine";
import type { Machine } from "./machine";

const SHOWN = 10;

export function Crashes({ machine }: { machine: Machine }) {
  const crashes = useCell(machine.crashes);
  if (crashes.length === 0) return null;
  return (
    <section className="models-section" aria-labelledby="crashes-title">
      <h2 id="crashes-title">Crashes</h2>
      <ol className="machine-list" aria-label="Crashes, newest first">
        {crashes.slice(0, SHOWN).map((crash) => (
          <CrashRow key={`${crash.child} ${crash.at}`} crash={crash} />
        ))}
      </ol>
    </section>
  );
}

function CrashRow({ crash: { child, at, cause, ranSeconds, backAt } }: { crash: Crash }) {
  const when = new Date(at * 1000);
  return (
    <li>
      <time dateTime={when.toISOString()}>{when.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" })}</time>
      <p>
        <b>{child}</b> {cause} after {formatSeconds(ranSeconds)}; {backAt === null ? "not back yet" : `back ${formatSeconds(Math.max(0, backAt - at))} later`}.
      </p>
    </li>
  );
}
