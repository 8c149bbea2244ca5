/*
 * Roles that models are to get once they are here: what remains of "get what is proposed" while the downloads run.
 * Promises: pure but for the two functions that read and keep it in this browser; a model that does not come is forgotten.
 * Does not cover: a browser that is closed for good; the roles can be set by hand.
 */
import { keep, readKept } from "../kept";

/** role -> model */
export type Wanted = Readonly<Record<string, string>>;

export interface Due {
  /** To be set now: the models are here. */
  roles: Record<string, string>;
  /** To be set later: the models are on their way. */
  rest: Record<string, string>;
}

/** What of the wanted roles can be set, and what is worth waiting for: models that are here, and those that come. */
export function due(wanted: Wanted, here: ReadonlySet<string>, coming: ReadonlySet<string>): Due {
  const found: Due = { roles: {}, rest: {} };
  for (const [role, model] of Object.entries(wanted)) {
    if (here.has(model)) found.roles[role] = model;
    else if (coming.has(model)) found.rest[role] = model;
  }
  return found;
}

export function readWanted(): Wanted {
  try {
    const value: unknown = JSON.parse(readKept("wanted-roles") ?? "{}");
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"));
  } catch {
    return {};
  }
}

export function keepWanted(wanted: Wanted): void {
  keep("wanted-roles", Object.keys(wanted).length > 0 ? JSON.stringify(wanted) : null);
}
