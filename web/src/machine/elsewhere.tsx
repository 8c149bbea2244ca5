/*
 * Engines that are not this machine's own children, and who stands in for whom.
 * Promises: only shows; nothing is asked of an engine by looking. Does not cover: adding, granting and orders of fallback, which
 * need a key: the command line does them.
 */
import { useCell } from "../cell";
import type { Elsewhere as Found, FarEngine } from "../wire/machine";
import type { Machine } from "./machine";
import { engineWords } from "./words";

export function Elsewhere({ machine }: { machine: Machine }) {
  const found = useCell(machine.elsewhere);
  if (!found) return null;
  return (
    <section className="models-section" aria-labelledby="elsewhere-title">
      <h2 id="elsewhere-title">Other engines</h2>
      {"engines" in found ? <Lists found={found} /> : <p className="quiet">{found.code === "key_needed" ? "They are shown on the command line only." : found.message}</p>}
      <p className="quiet">
        <code>homefire engine list</code> shows their addresses; <code>homefire engine add | grant | chain</code> changes them.
      </p>
    </section>
  );
}

function Lists({ found: { engines, chains } }: { found: Found }) {
  return (
    <>
      {engines.length === 0 && <p className="quiet">None. Everything is answered by this machine’s own models.</p>}
      <ul className="model-rows">
        {engines.map((engine) => (
          <EngineRow key={engine.name} engine={engine} />
        ))}
      </ul>
      {chains.length > 0 && (
        <>
          <h3 className="small-title">Who stands in for whom</h3>
          <ul className="machine-list">
            {chains.map(({ name, order }) => (
              <li key={name} data-chain={name}>
                <p>
                  <b>{name}</b>: {order.join(", then ")}
                </p>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

export function EngineRow({ engine }: { engine: FarEngine }) {
  const { word, mood } = engineWords(engine);
  const models = engine.found.length > 0 ? engine.found : engine.models;
  return (
    <li className="model-row" data-engine={engine.name}>
      <div className="model-row-head">
        <h3>{engine.name}</h3>
        <span className="tags">
          <span className="tag plain">{engine.kind}</span>
          <span className="tag plain">{engine.local ? "on this machine" : "elsewhere"}</span>
        </span>
        <span className="fit" data-mood={mood}>
          {word}
        </span>
      </div>
      <p className="model-why">{models.length > 0 ? `Models: ${models.join(", ")}` : "It was not asked yet which models it has."}</p>
    </li>
  );
}
