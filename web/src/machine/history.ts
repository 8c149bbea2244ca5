/*
 * The last minutes of the sensors, for the small lines beside their figures.
 * Promises: pure; what was not measured is null and leaves a gap, never a zero; at most five minutes.
 * Does not cover: times at which nobody looked; the line has a gap there.
 */
import type { Reading } from "../wire/machine";

export const WINDOW_S = 300;
/** Readings further apart than this are not joined: nobody looked in between. */
const GAP_S = 10;

export interface Sample {
  at: number;
  load: number | null;
  memory: number | null;
  temperature: number | null;
  gpus: { busy: number | null; memory: number | null; temperature: number | null; power: number | null }[];
}

export type Pick = (sample: Sample) => number | null;

/** Per cent of all cores together. */
export const loadOf = ({ cores }: Reading): number | null => cores && cores.reduce((sum, each) => sum + each, 0) / cores.length;

export const memoryUsed = ({ memoryTotal, memoryAvailable }: Reading): number | null =>
  memoryTotal === null || memoryAvailable === null ? null : memoryTotal - memoryAvailable;

/** Null: nothing was read. */
export function sampleOf(reading: Reading): Sample | null {
  if (reading.age === null) return null;
  return {
    at: reading.at,
    load: loadOf(reading),
    memory: memoryUsed(reading),
    temperature: reading.temperature,
    gpus: reading.gpus.map(({ busy, memoryUsed: memory, temperature, power }) => ({ busy, memory, temperature, power })),
  };
}

/** A reading that was there already (the driver hangs) adds nothing. */
export function withSample(history: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = history.at(-1);
  if (last && sample.at <= last.at) return history;
  return [...history.filter((other) => other.at > sample.at - WINDOW_S), sample];
}

export interface Line {
  /** The `d` of a path in a box of 100 by 100; several pieces where there are gaps. */
  path: string;
  low: number;
  high: number;
}

/** The line of one figure, newest at the right edge; null: it was never measured. `top`: what the upper edge stands for. */
export function lineOf(history: readonly Sample[], pick: Pick, top: number | null): Line | null {
  const now = history.at(-1)?.at ?? 0;
  const values = history.map(pick);
  const known = values.filter((value): value is number => value !== null);
  if (known.length === 0) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const most = top ?? Math.max(high * 1.15, 1);
  let path = "";
  let before: number | null = null;
  history.forEach(({ at }, index) => {
    const value = values[index];
    if (value == null) {
      before = null;
      return;
    }
    const x = (100 * (WINDOW_S - (now - at))) / WINDOW_S;
    const y = 100 - (100 * Math.min(value, most)) / most;
    path += `${before !== null && at - before <= GAP_S ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    before = at;
  });
  return { path, low, high };
}
