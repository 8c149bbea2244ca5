/*
 * A document, opened at a place: its lines with their numbers, more of them upwards and downwards on demand.
 * Promises: it scrolls to the line one came for, and stays where one reads when lines come in above; Escape closes it and the focus
 * goes back; lines are text, whatever stands in them. Does not cover: pictures, the original file, colours (colours.ts).
 */
import { useEffect, useLayoutEffect, useRef, type RefObject } from "react";
import { useCell } from "../cell";
import { formatCount } from "../format";
import { Icon } from "../page/icons";
import { useColours, type Piece } from "./colours";
import { upTo, type Reading, type ReadingView } from "./reading";

/** Letters of one line that are drawn. */
const WIDEST = 20_000;

export function Viewer({ reading }: { reading: Reading }) {
  const view = useCell(reading.view);
  const dialog = useRef<HTMLDialogElement>(null);
  const open = view !== null;
  useEffect(() => {
    // Closing it gives the focus back to what had it: the browser sees to that.
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      className="dialog viewer"
      aria-labelledby={open ? "viewer-title" : undefined}
      onClose={() => reading.close()}
      onClick={(event) => event.target === event.currentTarget && dialog.current?.close()}
    >
      {view && (
        <div className="viewer-inside">
          <header>
            <h2 id="viewer-title">
              {view.path}
              <span className="place-line">:{view.line}</span>
            </h2>
            <button type="button" className="icon-button" aria-label="Close the document" onClick={() => dialog.current?.close()}>
              <Icon name="close" />
            </button>
          </header>
          <p className="quiet viewer-facts">{factsOf(view)}</p>
          <Lines key={`${view.collection} ${view.path} ${view.line}`} view={view} reading={reading} />
        </div>
      )}
    </dialog>
  );
}

function factsOf({ collection, total, from, lines }: ReadingView): string {
  if (lines.length === 0) return collection;
  return `${collection} · lines ${formatCount(from)} to ${formatCount(upTo({ from, lines }))} of ${formatCount(total)}`;
}

function Lines({ view, reading }: { view: ReadingView; reading: Reading }) {
  const scroller = useRef<HTMLDivElement>(null);
  usePlace(scroller, view);
  const colours = useColours(view);
  return (
    <div className="viewer-lines" ref={scroller} tabIndex={0} role="region" aria-label="Lines of the document" aria-busy={view.loading !== null}>
      {view.from > 1 && view.lines.length > 0 && (
        <button type="button" className="button slim" aria-disabled={view.loading !== null} onClick={() => void reading.up()}>
          <Icon name="arrowUp" /> Earlier lines
        </button>
      )}
      {view.loading === "first" && <p className="quiet">Fetching the lines …</p>}
      <ol>
        {view.lines.map((line, index) => (
          <Line key={view.from + index} number={view.from + index} text={line} pieces={colours?.[index]} view={view} />
        ))}
      </ol>
      {view.error && (
        <div className="box bad" role="alert">
          <p>{view.error.message}</p>
          {view.error.next_step && <p className="toast-step">{view.error.next_step}</p>}
          <button type="button" className="button slim" onClick={() => void reading.again()}>
            Try again
          </button>
        </div>
      )}
      {view.lines.length > 0 && upTo(view) < view.total && (
        <button type="button" className="button slim" aria-disabled={view.loading !== null} onClick={() => void reading.down()}>
          <Icon name="arrowDown" /> Later lines
        </button>
      )}
    </div>
  );
}

interface LineProps {
  number: number;
  text: string;
  pieces: Piece[] | undefined;
  view: ReadingView;
}

function Line({ number, text, pieces, view }: LineProps) {
  const found = number >= view.first && number <= view.last;
  const rest = text.length - WIDEST;
  return (
    <li data-line={number} data-found={found || undefined} data-here={number === view.line || undefined} aria-current={number === view.line || undefined}>
      <span className="line-number" aria-hidden="true">
        {number}
      </span>
      <code>
        {rest > 0 ? text.slice(0, WIDEST) : (pieces?.map((piece, index) => (piece.name ? <span className={piece.name} key={index}>{piece.text}</span> : piece.text)) ?? text)}
        {rest > 0 && <span className="quiet"> … {formatCount(rest)} more letters in this line</span>}
        {view.cut.has(number) && <span className="quiet"> … this line goes on; it is too long to be shown whole</span>}
      </code>
    </li>
  );
}

/** To the line at first; and what is read stays in its place when lines come in above it. */
function usePlace(scroller: RefObject<HTMLDivElement | null>, view: ReadingView): void {
  const before = useRef<{ from: number; height: number } | null>(null);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || view.lines.length === 0) return;
    if (before.current === null) {
      element.querySelector("[data-here]")?.scrollIntoView({ block: "center" });
      element.focus({ preventScroll: true });
    } else if (view.from < before.current.from) element.scrollTop += element.scrollHeight - before.current.height;
    before.current = { from: view.from, height: element.scrollHeight };
  }, [scroller, view.from, view.lines, view.line]);
}
