/*
 * The models page: what this machine can run, what is on its way, what is here, what there is.
 * Promises: whoever comes finds the focus on it, so that keys scroll and a screen reader names it; downloads are watched while it is looked at, and go on when it is
 * left; it reads in one column on a phone. Does not cover: the address and the way in (route.ts, sidebar.tsx).
 */
import { useEffect } from "react";
import { Icon } from "../page/icons";
import { Catalogue } from "./catalogue";
import { Downloads } from "./downloads";
import { Installed } from "./installed";
import { ProposalBox } from "./proposal";
import { Roles } from "./roles";
import type { Shelf } from "./shelf";
import { SourceForm } from "./source-form";

export function ModelsPage({ shelf, onMenu }: { shelf: Shelf; onMenu: () => void }) {
  useEffect(() => {
    document.title = "Models · Homefire";
    document.getElementById("models-main")?.focus();
    void shelf.refresh();
    return () => shelf.leaveChecks();
  }, [shelf]);

  useEffect(() => {
    const look = (): void => shelf.transfers.look(document.visibilityState === "visible");
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      shelf.transfers.look(false);
    };
  }, [shelf]);

  return (
    <>
      <header className="head">
        <button type="button" id="menu-button" className="icon-button drawer-only" aria-label="Open the conversations" onClick={onMenu}>
          <Icon name="menu" />
        </button>
        <h1 className="head-title" id="models-title">
          Models
        </h1>
      </header>
      <div className="models-page" id="models-main" role="region" aria-labelledby="models-title" tabIndex={-1}>
        <div className="models-column">
          <ProposalBox shelf={shelf} />
          <Downloads shelf={shelf} />
          <Installed shelf={shelf} />
          <Roles shelf={shelf} />
          <Catalogue shelf={shelf} />
          <SourceForm shelf={shelf} />
        </div>
      </div>
    </>
  );
}
