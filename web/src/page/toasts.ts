/*
 * Short messages that the page says at its edge: an error with its next step, a deletion with its undoing.
 * Promises: a toast goes by itself, later when it says more; the same error is not said twice at once.
 * Does not cover: errors of an answer (they stand in the message) and the daemon's silence (the banner says it).
 */
import { Cell } from "../cell";
import type { ErrorBody } from "../wire/contract";

export interface Toast {
  id: number;
  message: string;
  nextStep?: string | null;
  tone: "plain" | "error";
  action?: { label: string; run: () => void };
}

interface Saying extends Omit<Toast, "id" | "tone"> {
  tone?: Toast["tone"];
  lastsMs?: number;
  onGone?: () => void;
}

export const toasts = new Cell<readonly Toast[]>([]);

const gone = new Map<number, () => void>();
let last = 0;

export function say({ lastsMs = 6000, onGone, tone = "plain", ...toast }: Saying): number {
  const id = ++last;
  toasts.set([...toasts.get().slice(-3), { ...toast, tone, id }]);
  if (onGone) gone.set(id, onGone);
  setTimeout(() => dismiss(id), lastsMs);
  return id;
}

export function sayError(error: ErrorBody): void {
  if (error.code === "unreachable") return;
  if (toasts.get().some((toast) => toast.message === error.message)) return;
  say({ message: error.message, nextStep: error.next_step ?? null, tone: "error", lastsMs: 14_000 });
}

export function dismiss(id: number): void {
  if (!toasts.get().some((toast) => toast.id === id)) return;
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
  gone.get(id)?.();
  gone.delete(id);
}
