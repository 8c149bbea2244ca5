/*
 * Which addresses in a model's output may become links.
 * Promises: pure; http, https and mailto, absolute, nothing else: no javascript:, no data:, no path on the daemon itself.
 * Does not cover: whether the place behind an address is a good one. The person decides by clicking.
 */

export function safeAddress(address: string): string | undefined {
  const trimmed = address.trim();
  if (!/^(https?:\/\/|mailto:)/i.test(trimmed)) return undefined;
  try {
    const parsed = new URL(trimmed);
    return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}
