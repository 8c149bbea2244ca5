/*
 * Who waits for a model, in order, what leaves next, and what left and comes back quickly.
 * Promises: places and times run down between two tables. Does not cover: a single request's place; its own stream tells it.
 */
import { formatMemory } from "../format";
import type { Residency } from "../wire/machine";
import { leavingWords, waitingWords } from "./words";

export function Queue({ table, passed }: { table: Residency; passed: number }) {
  const { waiting, leaving, ashore } = table;
  return (
    <section className="models-section" aria-labelledby="queue-title">
      <h2 id="queue-title">Waiting and leaving</h2>
      {waiting.length === 0 ? (
        <p className="quiet">Nothing waits for a model.</p>
      ) : (
        <ol className="machine-list" aria-label="Waiting">
          {waiting.map((row, index) => (
            <li key={row.model} data-waiting={row.model}>
              <span className="place" aria-hidden="true">
                {index + 1}
              </span>
              <p>
                <b>{row.model}</b>: {waitingWords(row, passed)}.
              </p>
            </li>
          ))}
        </ol>
      )}
      {leaving && (
        <p className="next-to-leave">
          Next to leave: <b>{leaving.model}</b>, {leavingWords(leaving, passed)}.
        </p>
      )}
      {ashore.length > 0 && (
        <p className="model-why">
          Left, and still in main memory as far as that is free:{" "}
          {ashore.map(({ model, bytes, share }) => `${model} (${formatMemory(bytes)}${share === null ? "" : `, ${Math.round(100 * share)} % there`})`).join(", ")}.
        </p>
      )}
    </section>
  );
}
