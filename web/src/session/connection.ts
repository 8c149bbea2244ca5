/*
 * Whether the daemon answers, and the waiting for it to come back.
 * Promises: one doubt leads to one question to /healthz; while nobody answers it is asked again each two seconds; when it
 * answers, `returns` grows by one, and whoever watches that loads afresh.
 * Does not cover: whether the daemon's models are well; the status corner shows that.
 */
import { Cell } from "../cell";

const PAUSE_MS = 2000;

export const connection = new Cell<"here" | "gone">("here");
/** How often the daemon has come back. */
export const returns = new Cell(0);

let asking = false;

async function answers(): Promise<boolean> {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Somebody heard nothing from the daemon: find out, and wait for it if it is gone. */
export async function doubt(): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    while (!(await answers())) {
      connection.set("gone");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  } finally {
    asking = false;
  }
  if (connection.get() === "gone") {
    connection.set("here");
    returns.set(returns.get() + 1);
  }
}
