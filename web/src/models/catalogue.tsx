/*
 * The catalogue: what there is, what of it fits here, and a button that gets it.
 * Promises: a search waits until the typing rests; how it fits stands in a word, a colour and a sentence, for the quantization
 * that is chosen; what cannot run says why and has no button. Does not cover: models that the catalogue does not know
 * (source-form.tsx).
 */
import { useEffect, useId, useMemo, useRef, useState, type RefObject } from "react";
import { useCell } from "../cell";
import { formatBytes, formatCount, formatParameters } from "../format";
import { Icon } from "../page/icons";
import type { Download, Found, Offer, Report, Speed } from "../wire/models";
import type { Shelf } from "./shelf";
import { isActive } from "./transfers";
import { CAPABILITY_WORDS, FIT_WORDS, percent, phaseWords, speedWords } from "./words";

const REST_MS = 220;

export function Catalogue({ shelf }: { shelf: Shelf }) {
  const view = useCell(shelf.catalogue);
  const downloads = useCell(shelf.transfers.list);
  const [fitting, setFitting] = useState(false);
  const rows = fitting ? view.rows.filter((row) => row.fits !== "no") : view.rows;
  return (
    <section className="models-section" aria-labelledby="catalogue-title">
      <h2 id="catalogue-title">Catalogue</h2>
      <Filters shelf={shelf} fitting={fitting} onFitting={setFitting} />
      <p className="quiet" role="status">
        {view.loaded ? (rows.length === 0 ? "Nothing found." : `${rows.length} ${rows.length === 1 ? "model" : "models"}`) : view.loading && "Looking …"}
      </p>
      {view.error && view.error.code !== "unreachable" && (
        <div className="box bad" role="alert">
          <p>{view.error.message}</p>
          {view.error.next_step && <p className="toast-step">{view.error.next_step}</p>}
        </div>
      )}
      <ul className="model-rows">
        {rows.map((row) => (
          <CatalogueRow key={row.name} shelf={shelf} row={row} downloads={downloads.filter((one) => isActive(one) && one.source === row.name)} />
        ))}
      </ul>
    </section>
  );
}

interface FilterProps {
  shelf: Shelf;
  fitting: boolean;
  onFitting: (only: boolean) => void;
}

function Filters({ shelf, fitting, onFitting }: FilterProps) {
  const [words, setWords] = useState(() => shelf.catalogue.get().query);
  const [capability, setCapability] = useState(() => shelf.catalogue.get().capability);
  const first = useRef(true);
  const group = useId();
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => void shelf.search(words.trim(), capability), REST_MS);
    return () => clearTimeout(timer);
  }, [words, capability, shelf]);
  return (
    <search className="filters">
      <label className="search">
        <Icon name="search" />
        <span className="visually-hidden">Search the catalogue</span>
        <input
          id="catalogue-search"
          type="search"
          placeholder="Search the catalogue"
          autoComplete="off"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || words === "") return;
            event.preventDefault();
            setWords("");
          }}
        />
      </label>
      <fieldset className="chips">
        <legend className="visually-hidden">What it can do</legend>
        {["", ...Object.keys(CAPABILITY_WORDS)].map((value) => (
          <label className="chip" key={value}>
            <input type="radio" name={group} value={value} checked={capability === value} onChange={() => setCapability(value)} />
            {value === "" ? "All" : CAPABILITY_WORDS[value]}
          </label>
        ))}
      </fieldset>
      <label className="chip">
        <input type="checkbox" checked={fitting} onChange={(event) => onFitting(event.target.checked)} />
        Only what fits here
      </label>
    </search>
  );
}

interface RowProps {
  shelf: Shelf;
  row: Found;
  /** Those of this row that are under way. */
  downloads: readonly Download[];
}

/** The name that an offer's model gets: the row's own for the first that runs, with the quantization for the others. */
export function targetOf(row: Found, offer: Offer): string {
  const usual = row.offers.find((one) => one.refused === "");
  return offer.quantization === usual?.quantization ? row.name : `${row.name}-${offer.quantization.toLowerCase()}`;
}

const WHOLE = new Set(["F32", "F16", "BF16"]);
const MADE = ["Q8_0", "Q4_K_M"];

/** What can be chosen: each quantization once, then those that are made here of whole weights where nobody offers them. */
export function optionsOf(row: Found): Offer[] {
  const offers = row.offers.filter((offer, index) => row.offers.findIndex((other) => other.quantization === offer.quantization) === index);
  const whole = offers[0];
  const speaks = row.capabilities.includes("speech");
  if (!whole || speaks || !offers.every((offer) => WHOLE.has(offer.quantization) && offer.refused === "" && !/gguf/i.test(offer.source))) return offers;
  const made = MADE.map((quantization) => ({
    ...whole,
    quantization,
    fits: "unknown" as const,
    needs: 0,
    why: `Made here of the ${whole.quantization} weights.`,
    made: true,
  }));
  return [...offers, ...made];
}

export function CatalogueRow({ shelf, row, downloads }: RowProps) {
  const [chosen, setChosen] = useState(row.quantization);
  const options = useMemo(() => optionsOf(row), [row]);
  const offer = options.find((one) => one.quantization === chosen);
  const line = useRef<HTMLParagraphElement>(null);
  const report = useReport(shelf, row, offer, line);
  const shown = offer?.made && report ? { ...report, why: `${offer.why} ${report.why}` } : (offer ?? row);
  const here = row.installedAs.length > 0;
  return (
    <li className="model-row" data-entry={row.name} data-fits={shown.fits}>
      <div className="model-row-head">
        <h3>{row.name}</h3>
        <span className="tags">
          {row.capabilities.map((capability) => (
            <span className="tag plain" key={capability}>
              {CAPABILITY_WORDS[capability] ?? capability}
            </span>
          ))}
        </span>
        <span className="fit" data-fits={shown.fits}>
          {FIT_WORDS[shown.fits]}
        </span>
      </div>
      <p className="model-figures" ref={line}>
        {figureWords(row, offer, report?.speed ?? null)}
      </p>
      <p className="model-why">{shown.why}</p>
      {(row.note !== "" || row.unchecked) && (
        <p className="model-why">
          {row.note} {row.unchecked && "Nobody has held this row against its repository yet."}
        </p>
      )}
      <div className="model-row-foot">
        <p className="model-figures">
          {[row.licence, row.context > 0 ? `${formatCount(row.context)} tokens of context` : ""].filter((word) => word !== "").join(" · ")}
        </p>
        <span className="model-actions">
          {here && <span className="tag">{row.installedAs.join() === row.name ? "here" : `here as ${row.installedAs.join(", ")}`}</span>}
          {options.length > 0 && <Choose row={row} options={options} chosen={chosen} onChoose={setChosen} />}
          {offer && offer.refused === "" && <GetButton shelf={shelf} row={row} offer={offer} downloads={downloads} />}
        </span>
      </div>
    </li>
  );
}

function GetButton({ shelf, row, offer, downloads }: RowProps & { offer: Offer }) {
  const target = targetOf(row, offer);
  const download = downloads.find((one) => one.target === target);
  if (row.installedAs.includes(target)) return null;
  return (
    <button
      type="button"
      className="button slim primary"
      aria-label={download ? `${target}: ${phaseWords(download)}` : `Get ${row.name} ${offer.quantization}`}
      aria-disabled={download !== undefined}
      onClick={() => !download && void shelf.pull({ source: row.name, quantization: offer.quantization })}
    >
      <Icon name="download" /> {download ? gettingWords(download) : "Get"}
    </button>
  );
}

function gettingWords(download: Download): string {
  const part = percent(download);
  return part === null ? phaseWords(download) : `${phaseWords(download)} · ${part} %`;
}

interface ChooseProps {
  row: Found;
  options: readonly Offer[];
  chosen: string;
  onChoose: (quantization: string) => void;
}

function Choose({ row, options, chosen, onChoose }: ChooseProps) {
  return (
    <select className="select slim" aria-label={`Quantization of ${row.name}`} value={chosen} onChange={(event) => onChoose(event.target.value)}>
      {options.map((offer) => (
        <option key={offer.quantization} value={offer.quantization}>
          {offerWords(offer)}
        </option>
      ))}
    </select>
  );
}

/** "Q4_K_M · 2.5 GB · tight": enough to choose by without opening each. */
export function offerWords(offer: Offer): string {
  const words = [offer.quantization];
  if (offer.made) words.push("made here");
  else if (offer.size > 0) words.push(formatBytes(offer.size));
  if (offer.refused !== "") words.push("cannot run");
  else if (offer.fits === "tight" || offer.fits === "no") words.push(FIT_WORDS[offer.fits].toLowerCase());
  return words.join(" · ");
}

/** Whether the daemon knows enough of the model to foretell its speed: more than the size of its weights, and it writes text. */
export function hasSpeed(row: Found, offer: Offer | undefined): offer is Offer {
  const writes = row.capabilities.some((capability) => capability === "chat" || capability === "vision");
  return writes && offer !== undefined && offer.refused === "" && offer.fits !== "no" && offer.needs > offer.size;
}

/** What the daemon foretells of the offer that is chosen: asked for when the row comes into view; null until it is known. */
function useReport(shelf: Shelf, row: Found, offer: Offer | undefined, line: RefObject<HTMLElement | null>): Report | null {
  const [found, setFound] = useState<{ of: string; report: Report | null } | null>(null);
  const quantization = offer?.made || hasSpeed(row, offer) ? (offer?.quantization ?? "") : "";
  useEffect(() => {
    if (quantization === "" || !line.current) return;
    let left = false;
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      void shelf.report(row, quantization).then((report) => !left && setFound({ of: quantization, report }));
    });
    watcher.observe(line.current);
    return () => {
      left = true;
      watcher.disconnect();
    };
  }, [shelf, row, quantization, line]);
  return found?.of === quantization ? found.report : null;
}

/** Parameters, what is to be fetched, and the speed. */
function figureWords(row: Found, offer: Offer | undefined, speed: Speed | null): string {
  const active = row.active > 0 && row.active < row.parameters ? `, ${formatParameters(row.active)} active` : "";
  const words = [
    row.parameters > 0 ? `${formatParameters(row.parameters)} parameters${active}` : "",
    offer && offer.size > 0 ? `${formatBytes(offer.size)} to fetch` : "",
    speedWords(speed),
  ];
  return words.filter((word) => word !== "").join(" · ");
}
