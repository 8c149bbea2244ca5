/*
 * A value that others can watch: the whole of the page's state keeping.
 * Promises: watchers hear each change once, synchronously, in the order of their coming; setting the same value is silent.
 * Does not cover: deriving, batching, history. React batches; the rest is not needed.
 */
import { useSyncExternalStore } from "react";

export class Cell<T> {
  private value: T;
  private readonly watchers = new Set<() => void>();

  constructor(value: T) {
    this.value = value;
  }

  readonly get = (): T => this.value;

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const watcher of [...this.watchers]) watcher();
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };
}

export function useCell<T>(cell: Cell<T>): T {
  return useSyncExternalStore(cell.watch, cell.get, cell.get);
}
