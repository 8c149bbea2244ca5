/*
 * Whether this browser is logged in.
 * Promises: a code in the address is taken out before anything else happens, so that it stays in no history and no
 * bookmark; a 401 anywhere leads to "out". States: unknown -> in | out; in -> out; out -> in.
 * Does not cover: the login screen (login-screen.tsx).
 */
import { Cell } from "../cell";
import { calls } from "../wire/calls";
import { ApiError, asErrorBody, listen, Unreachable } from "../wire/request";
import type { ErrorBody } from "../wire/contract";
import { doubt, returns } from "./connection";
import { codeInFragment } from "./login-code";

export const session = new Cell<"unknown" | "in" | "out">("unknown");
/** Whether the daemon asks nobody for a key (its setting `auth`). */
export const keysOff = new Cell(false);
/** Why the last code was not taken. */
export const loginError = new Cell<ErrorBody | null>(null);

/** A code that waits to be sent: taken from the address while the daemon did not answer. */
let waiting: string | null = null;

function takeCodeFromAddress(): void {
  const code = codeInFragment(location.hash);
  if (code === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  waiting = code;
}

/** Sends a code. True when the daemon took it. */
export async function login(code: string): Promise<boolean> {
  try {
    await calls.login(code);
    loginError.set(null);
    session.set("in");
    return true;
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    loginError.set(asErrorBody(error));
    return false;
  }
}

async function settle(): Promise<void> {
  try {
    if (waiting !== null) {
      const code = waiting;
      const taken = await login(code);
      waiting = null;
      if (taken) return;
    }
    // A used-up link is no reason to shut out a browser whose cookie still holds.
    await calls.models();
    loginError.set(null);
    session.set("in");
  } catch (error) {
    if (error instanceof ApiError && error.status !== 401) session.set("in");
  }
}

export async function logout(): Promise<void> {
  await calls.logout();
  session.set("out");
}

/** Called once, before the page is drawn. */
export function beginSession(): void {
  takeCodeFromAddress();
  listen({ onUnauthorized: () => session.set("out"), onUnreachable: () => void doubt() });
  window.addEventListener("hashchange", () => {
    takeCodeFromAddress();
    if (waiting !== null) void settle();
  });
  returns.watch(() => {
    if (session.get() === "unknown" || waiting !== null) void settle();
  });
  void settle();
}

