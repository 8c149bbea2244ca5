/*
 * How the memory of each device is divided: a bar, and the same as a list.
 * Promises: each share has a number or a pattern beside its colour, and its bytes in the list; what is promised and not taken yet
 * looks lighter. Does not cover: devices whose memory nobody knows; no bar is better than a guessed one.
 */
import { formatMemory } from "../format";
import type { DeviceRoom, Residency } from "../wire/machine";
import { deviceName, sharesOf, sharesWords, type Share } from "./words";

export function MemoryBars({ table }: { table: Residency }) {
  const withoutGpu = table.devices.length > 0 && !table.devices.some((device) => device.name !== "host");
  return (
    <section className="models-section" aria-labelledby="memory-title">
      <h2 id="memory-title">Memory</h2>
      {table.devices.length === 0 && <p className="quiet">How much memory models may take is looked at when the first one is loaded.</p>}
      {table.devices.map((device) => (
        <DeviceBar key={device.name} device={device} table={table} />
      ))}
      {withoutGpu && <p className="quiet">No GPU with memory of its own: models run on the processor.</p>}
    </section>
  );
}

export function DeviceBar({ device, table }: { device: DeviceRoom; table: Residency }) {
  const shares = sharesOf(device, table.models);
  return (
    <div className="device" data-device={device.name}>
      <div className="device-head">
        <h3>{deviceName(device.name)}</h3>
        <span className="model-figures">
          {formatMemory(device.reserved)} of {formatMemory(device.room)} promised to models
        </span>
      </div>
      <div className="shares" role="img" aria-label={sharesWords(device, shares)}>
        {shares.map((share) => (
          <Segment key={`${share.kind} ${share.name}`} share={share} />
        ))}
      </div>
      <ul className="share-list">
        {shares.map((share) => (
          <li key={`${share.kind} ${share.name}`}>
            <Swatch share={share} />
            <span className="share-name">{share.name}</span>
            <span className="share-bytes">{bytesOf(share)}</span>
          </li>
        ))}
      </ul>
      {device.why !== "" && <p className="model-why">{`${device.why[0]?.toUpperCase()}${device.why.slice(1)}.`}</p>}
    </div>
  );
}

const bytesOf = ({ kind, bytes, measured }: Share): string =>
  kind !== "model" ? formatMemory(bytes) : `${formatMemory(bytes)} promised${measured === null ? "" : `, ${formatMemory(measured)} measured`}`;

/** The hues go round after six; the number tells two of one hue apart. */
const hue = (share: Share): number => (share.number - 1) % 6;

function Segment({ share }: { share: Share }) {
  const taken = share.measured === null ? 1 : share.measured / share.bytes;
  return (
    <span className="share" data-kind={share.kind} data-hue={share.kind === "model" ? hue(share) : undefined} style={{ flexGrow: share.bytes }} title={`${share.name}: ${bytesOf(share)}`}>
      {share.kind === "model" && <span className="share-taken" style={{ width: `${100 * taken}%` }} />}
      {share.kind === "model" && <span className="share-number">{share.number}</span>}
    </span>
  );
}

export function Swatch({ share }: { share: Pick<Share, "kind" | "number"> }) {
  return (
    <span className="swatch" data-kind={share.kind} data-hue={share.kind === "model" ? (share.number - 1) % 6 : undefined} aria-hidden="true">
      {share.kind === "model" ? share.number : ""}
    </span>
  );
}
