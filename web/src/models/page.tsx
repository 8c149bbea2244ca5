/*
 * The models page: what this machine can run, what is on its way, what is here, what there is.
 * Promises: whoever comes finds the focus on it, so that keys scroll and a screen reader names it; downloads are watched while it is looked at, and go on when it is
 * left; it reads in one column on a phone. Does not cover: the address and the way in (route.ts, sidebar.tsx).
 */
import { useCallback, useEffect } from "react";
import { Room } from "../page/room";
import { Catalogue } from "./catalogue";
import { Downloads } from "./downloads";
import { Installed } from "./installed";
import { ProposalBox } from "./proposal";
import { Roles } from "./roles";
import type { Shelf } from "./shelf";
import { SourceForm } from "./source-form";

export function ModelsPage({ shelf, onMenu }: { shelf: Shelf; onMenu: () => void }) {
  const look = useCallback((seen: boolean): void => shelf.transfers.look(seen), [shelf]);
  useEffect(() => {
    void shelf.refresh();
    return () => shelf.leaveChecks();
  }, [shelf]);

  return (
    <Room name="models" title="Models" onMenu={onMenu} look={look}>
      <div className="models-column">
        <ProposalBox shelf={shelf} />
        <Downloads shelf={shelf} />
        <Installed shelf={shelf} />
        <Roles shelf={shelf} />
        <Catalogue shelf={shelf} />
        <SourceForm shelf={shelf} />
      </div>
    </Room>
  );
}
