/*
 * What this browser keeps between visits: drafts, the theme, sampling, the model for new conversations.
 * Promises: never throws (a browser may refuse to keep anything; then it lasts as long as the page); all names begin
 * with "homefire.". Does not cover: anything secret. The session is a cookie that scripts cannot read.
 */
import type { Sampling } from "./wire/contract";

const memory = new Map<string, string>();

export function readKept(name: string): string | null {
  try {
    return localStorage.getItem(`homefire.${name}`) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

export function keep(name: string, value: string | null): void {
  if (value === null) memory.delete(name);
  else memory.set(name, value);
  try {
    if (value === null) localStorage.removeItem(`homefire.${name}`);
    else localStorage.setItem(`homefire.${name}`, value);
  } catch {
    // Refused or full: the memory above holds it until the page closes.
  }
}

/** The name under which things of a conversation are kept; `null` is the one not yet begun. */
const of = (id: string | null): string => id ?? "new";

export const drafts = {
  read: (id: string | null): string => readKept(`draft.${of(id)}`) ?? "",
  keep: (id: string | null, text: string): void => keep(`draft.${of(id)}`, text === "" ? null : text),
};

export const samplings = {
  read: (id: string | null): Sampling => parseSampling(readKept(`sampling.${of(id)}`)),
  keep: (id: string | null, sampling: Sampling): void =>
    keep(`sampling.${of(id)}`, Object.keys(sampling).length > 0 ? JSON.stringify(sampling) : null),
};

export function parseSampling(text: string | null): Sampling {
  if (text === null) return {};
  try {
    const { temperature, max_tokens } = JSON.parse(text) as Record<string, unknown>;
    const sampling: Sampling = {};
    if (typeof temperature === "number" && temperature >= 0 && temperature <= 2) sampling.temperature = temperature;
    if (typeof max_tokens === "number" && Number.isInteger(max_tokens) && max_tokens >= 1 && max_tokens <= 1_000_000) {
      sampling.max_tokens = max_tokens;
    }
    return sampling;
  } catch {
    return {};
  }
}

/** Forgets what was kept for a conversation that is gone. */
export function forget(id: string): void {
  keep(`draft.${id}`, null);
  keep(`sampling.${id}`, null);
  keep(`notice.${id}`, null);
}
