/*
 * Numbers and times as people read them.
 * Promises: pure; the present is always handed in; English words, the browser's own number and date forms.
 * Does not cover: time zones other than the browser's.
 */

export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** 0.214 -> "0.21 s", 12.3 -> "12 s", 75 -> "1 min 15 s". */
export function formatSeconds(value: number): string {
  if (value < 0.01) return "< 0.01 s";
  if (value < 10) return `${value.toFixed(value < 1 ? 2 : 1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  const rest = whole % 60;
  return rest === 0 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 60)} min ${rest} s`;
}

export function formatRate(tokensPerSecond: number): string {
  const digits = tokensPerSecond < 10 ? 1 : 0;
  return `${Number(tokensPerSecond.toFixed(digits)).toLocaleString("en-US")} tokens/s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "B";
  for (const next of units) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Memory, in the units in which the daemon speaks of it: 1_288_490_189 -> "1.2 GiB". */
export function formatMemory(bytes: number): string {
  const mib = bytes / 2 ** 20;
  if (mib >= 1023.5) return `${(mib / 1024).toFixed(mib < 102_400 ? 1 : 0)} GiB`;
  return mib > 0 && mib < 0.5 ? "< 1 MiB" : `${Math.round(mib)} MiB`;
}

/** 1_230_000_000 -> "1.2 B", 6_400_000 -> "6.4 M": how models are spoken of. */
export function formatParameters(value: number | string): string {
  if (typeof value === "string") return value;
  for (const [size, name] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]] as const) {
    if (value >= size) return `${Number((value / size).toFixed(value / size < 10 ? 1 : 0))} ${name}`;
  }
  return String(value);
}

const startOfDay = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

/** The heading under which a conversation of that time stands: days for a week, then months. */
export function formatDay(unixSeconds: number, now: Date): string {
  const date = new Date(unixSeconds * 1000);
  const days = Math.round((startOfDay(now) - startOfDay(date)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return date.toLocaleDateString("en-GB", { weekday: "long" });
  if (date.getFullYear() === now.getFullYear()) return date.toLocaleDateString("en-GB", { month: "long" });
  return date.toLocaleDateString("en-GB", { month: "long", year: "numeric" });
}

/** Neighbours with the same heading come together; the order stays. */
export function groupBy<T>(items: readonly T[], heading: (item: T) => string): { heading: string; items: T[] }[] {
  const groups: { heading: string; items: T[] }[] = [];
  for (const item of items) {
    const name = heading(item);
    const last = groups.at(-1);
    if (last?.heading === name) last.items.push(item);
    else groups.push({ heading: name, items: [item] });
  }
  return groups;
}
