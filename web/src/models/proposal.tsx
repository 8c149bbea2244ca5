/*
 * What this machine can run, and one button that gets it.
 * Promises: opening the page asks nobody outside; the proposal that needs the hub is made when a person asks for it; what is
 * proposed says how large it is, how fast it may be and why.
 * Does not cover: choosing; homefire/models/proposal.py does.
 */
import { useCell } from "../cell";
import { formatBytes } from "../format";
import type { ModelList } from "../wire/contract";
import type { Choice, Download, Proposal } from "../wire/models";
import type { Shelf } from "./shelf";
import { isActive } from "./transfers";
import { roleName, speedWords } from "./words";

export interface Standing {
  /** Bytes still to be asked for. */
  download: number;
  missing: number;
  coming: number;
  /** Roles whose model is here and that have another one. */
  unused: number;
}

/** The names that the model of a choice may have here: what the daemon says, the row's own, that of one quantization of it. */
export const namesOf = ({ model, quantization, installedAs }: Choice): string[] => [
  ...(installedAs === "" ? [] : [installedAs]),
  model,
  `${model}-${quantization.toLowerCase()}`,
];

/** Under which of `names` the model of a choice is; undefined if it is not. */
export const nameAmong = (choice: Choice, names: ReadonlySet<string>): string | undefined => namesOf(choice).find((name) => names.has(name));

/** How far a proposal is from being what this machine uses. */
export function standingOf(proposal: Proposal, list: ModelList, downloads: readonly Download[]): Standing {
  const here = new Set(list.models.map((model) => model.name));
  const coming = new Set(downloads.filter(isActive).map((download) => download.target));
  const models = new Map(proposal.choices.map((choice) => [`${choice.model} ${choice.quantization}`, choice]));
  const missing = [...models.values()].filter((choice) => nameAmong(choice, here) === undefined);
  const unasked = missing.filter((choice) => nameAmong(choice, coming) === undefined);
  const unused = proposal.choices.filter((choice) => {
    const name = nameAmong(choice, here);
    return name !== undefined && !namesOf(choice).includes(list.roles?.[choice.role] ?? "");
  });
  return {
    download: unasked.reduce((sum, choice) => sum + choice.download, 0),
    missing: unasked.length,
    coming: missing.length - unasked.length,
    unused: unused.length,
  };
}

export function ProposalBox({ shelf }: { shelf: Shelf }) {
  const proposal = useCell(shelf.proposal);
  const list = useCell(shelf.desk.models);
  const downloads = useCell(shelf.transfers.list);
  const asking = useCell(shelf.asking).has("proposal");
  if (!proposal) return null;
  const standing = standingOf(proposal, list, downloads);
  const here = new Set(list.models.map((model) => model.name));
  return (
    <section className="models-section proposal box" aria-labelledby="proposal-title">
      <h2 id="proposal-title">What this machine can run</h2>
      <p>
        <span className="tag">{proposal.tier}</span> It runs {proposal.runs}.
      </p>
      {proposal.asked ? (
        <>
          <Unreached proposal={proposal} />
          <ul className="choices">
            {proposal.choices.map((choice) => (
              <ChoiceRow key={choice.role} choice={choice} here={nameAmong(choice, here) !== undefined} />
            ))}
          </ul>
          <Take shelf={shelf} standing={standing} />
        </>
      ) : (
        <>
          <p className="model-why">
            Homefire can propose a model for each role. For that it asks the model hub and the package index whether they answer.
          </p>
          <p>
            <button type="button" className="button primary" aria-disabled={asking} onClick={() => void shelf.propose()}>
              {asking ? "Looking …" : "Propose models"}
            </button>
          </p>
        </>
      )}
    </section>
  );
}

function Unreached({ proposal }: { proposal: Proposal }) {
  const reasons = [proposal.hubReason && `The model hub does not answer: ${proposal.hubReason}`, proposal.indexReason && `The package index does not answer: ${proposal.indexReason}`];
  return reasons.filter(Boolean).map((reason) => (
    <p className="model-why" key={reason}>
      {reason}
    </p>
  ));
}

function ChoiceRow({ choice, here }: { choice: Choice; here: boolean }) {
  const figures = [here ? "here" : choice.download > 0 ? `${formatBytes(choice.download)} to fetch` : "", choice.needs > 0 ? `needs ${formatBytes(choice.needs)}` : "", speedWords(choice.speed)];
  return (
    <li className="choice">
      <span className="choice-role">{roleName(choice.role)}</span>
      <span className="choice-model">
        <b>{choice.model}</b> {choice.quantization}
        <span className="model-figures">{figures.filter((word) => word !== "").join(" · ")}</span>
        <details>
          <summary>Why</summary>
          <p className="model-why">{choice.why}</p>
        </details>
      </span>
    </li>
  );
}

function Take({ shelf, standing }: { shelf: Shelf; standing: Standing }) {
  const { download, missing, coming, unused } = standing;
  if (missing === 0 && unused === 0) {
    return <p role="status">{coming > 0 ? "On the way: see the downloads below." : "All of this is here, and in use."}</p>;
  }
  const label = missing > 0 ? `Get and use these${download > 0 ? ` (${formatBytes(download)})` : ""}` : "Use these";
  return (
    <p>
      <button type="button" className="button primary" onClick={() => void shelf.takeProposal()}>
        {label}
      </button>
    </p>
  );
}
