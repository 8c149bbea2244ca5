/*
 * How the hardware is: load, memory, heat, power, clocks, each with the line of its last minutes; and what the governor does.
 * Promises: what is not measured on this machine says so, and is no zero; the line says its lowest and highest in words.
 * Does not cover: times at which nobody looked.
 */
import { useCell } from "../cell";
import { formatMemory } from "../format";
import type { GpuReading, Reading } from "../wire/machine";
import { lineOf, loadOf, memoryUsed, type Pick, type Sample } from "./history";
import type { Machine } from "./machine";
import { governorWords } from "./words";

const STALE_S = 10;

export function Sensors({ machine }: { machine: Machine }) {
  const reading = useCell(machine.reading);
  const history = useCell(machine.history);
  return (
    <section className="models-section" aria-labelledby="sensors-title">
      <h2 id="sensors-title">Sensors</h2>
      {!reading || reading.age === null ? (
        <p className="quiet">{reading ? "The sensors have not answered yet." : "Looking …"}</p>
      ) : (
        <>
          {reading.age > STALE_S && <p className="quiet">The sensors have been silent for {Math.round(reading.age)} s; this is their last reading.</p>}
          <Processor reading={reading} history={history} />
          {reading.gpus.map((gpu, index) => (
            <Gpu key={`${gpu.name} ${index}`} gpu={gpu} index={index} history={history} />
          ))}
          {reading.gpus.length === 0 && <p className="quiet">No GPU was found on this machine.</p>}
          <Governor reading={reading} />
        </>
      )}
    </section>
  );
}

function Processor({ reading, history }: { reading: Reading; history: readonly Sample[] }) {
  const { cores, temperature, clock, highestClock, memoryTotal, swapUsed, swapTotal } = reading;
  const used = memoryUsed(reading);
  return (
    <div className="tiles" role="group" aria-label="Processor and main memory">
      <Tile name="Processor" value={figure(loadOf(reading), "%")} note={cores ? `${cores.length} logical cores` : ""} history={history} pick={({ load }) => load} top={100} unit=" %" />
      <Tile
        name="Main memory"
        value={used === null ? null : formatMemory(used)}
        note={[memoryTotal === null ? "" : `of ${formatMemory(memoryTotal)}`, swapUsed && swapTotal ? `${formatMemory(swapUsed)} swapped out` : ""].filter((word) => word !== "").join(", ")}
        history={history}
        pick={({ memory }) => memory}
        top={memoryTotal}
      />
      <Tile name="Temperature" value={figure(temperature, "°C")} note={reading.slowed ? "heat holds the clocks down" : ""} history={history} pick={(sample) => sample.temperature} top={100} unit=" °C" />
      <Tile name="Clock" value={clockWords(clock)} note={highestClock === null ? "" : `of ${clockWords(highestClock)}`} />
    </div>
  );
}

function Gpu({ gpu, index, history }: { gpu: GpuReading; index: number; history: readonly Sample[] }) {
  const of = (pick: (gpu: Sample["gpus"][number]) => number | null): Pick => (sample) => {
    const found = sample.gpus[index];
    return found ? pick(found) : null;
  };
  return (
    <div className="tile-group">
      <h3>{gpu.name}</h3>
      <div className="tiles" role="group" aria-label={gpu.name}>
        <Tile name="Utilisation" value={figure(gpu.busy, "%")} note="" history={history} pick={of(({ busy }) => busy)} top={100} unit=" %" />
        <Tile
          name="GPU memory"
          value={gpu.memoryUsed === null ? null : formatMemory(gpu.memoryUsed)}
          note={gpu.memoryTotal === null ? "" : `of ${formatMemory(gpu.memoryTotal)}`}
          history={history}
          pick={of(({ memory }) => memory)}
          top={gpu.memoryTotal}
        />
        <Tile name="Temperature" value={figure(gpu.temperature, "°C")} note={gpu.slowed ? "its clocks are held down" : ""} history={history} pick={of(({ temperature }) => temperature)} top={100} unit=" °C" />
        <Tile name="Power" value={figure(gpu.power, "W")} note={gpu.powerLimit === null ? "" : `of ${Math.round(gpu.powerLimit)} W`} history={history} pick={of(({ power }) => power)} top={gpu.powerLimit} unit=" W" />
        <Tile name="Clock" value={clockWords(gpu.clock)} note={[gpu.highestClock === null ? "" : `of ${clockWords(gpu.highestClock)}`, gpu.memoryClock === null ? "" : `memory ${clockWords(gpu.memoryClock)}`].filter((word) => word !== "").join(", ")} />
        <Tile name="Fan" value={figure(gpu.fan, "%")} note="" />
      </div>
    </div>
  );
}

/** "42 %"; null stays null. */
const figure = (value: number | null, unit: string): string | null => (value === null ? null : `${Math.round(value)} ${unit}`);

const clockWords = (mhz: number | null): string | null => (mhz === null ? null : mhz < 1000 ? `${Math.round(mhz)} MHz` : `${(mhz / 1000).toFixed(2)} GHz`);

interface TileProps {
  name: string;
  /** Null: not measured here. */
  value: string | null;
  note: string;
  history?: readonly Sample[];
  pick?: Pick;
  /** What the line's upper edge stands for; null: a bit more than the highest. */
  top?: number | null;
  /** Of the line's lowest and highest; bytes without one. */
  unit?: string;
}

export function Tile({ name, value, note, history, pick, top = null, unit }: TileProps) {
  const line = value !== null && history && pick ? lineOf(history, pick, top) : null;
  const said = (amount: number): string => (unit === undefined ? formatMemory(amount) : `${Math.round(amount)}${unit}`);
  return (
    <div className="tile">
      <span className="tile-name">{name}</span>
      {value === null ? <span className="tile-none">not measured here</span> : <span className="tile-value">{value}</span>}
      {note !== "" && <span className="tile-note">{note}</span>}
      {line && (
        <svg className="spark" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`Last five minutes: ${said(line.low)} to ${said(line.high)}`}>
          <path d="M0 99.500H100" className="spark-ground" />
          <path d={line.path} className="spark-line" />
        </svg>
      )}
    </div>
  );
}

function Governor({ reading }: { reading: Reading }) {
  const view = reading.governor;
  if (!view) return <p className="quiet">The governor is off.</p>;
  const { words, mood } = governorWords(view);
  return (
    <div className="governor">
      <p>
        <span className="fit" data-mood={mood}>
          {words}
        </span>
      </p>
      {view.decisions.length > 0 && (
        <details>
          <summary>What it decided</summary>
          <ul className="machine-list">
            {view.decisions.slice(0, 10).map(({ at, words: said }) => (
              <li key={`${at} ${said}`}>
                <time dateTime={new Date(at * 1000).toISOString()}>{new Date(at * 1000).toLocaleTimeString()}</time>
                <p>{said}</p>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
