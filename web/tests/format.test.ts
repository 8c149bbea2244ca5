/*
 * Numbers and times as people read them, and what was kept as sampling.
 */
import { describe, expect, it } from "vitest";
import { formatBytes, formatDay, formatParameters, formatRate, formatSeconds, groupBy } from "../src/format";
import { parseSampling } from "../src/kept";

const at = (year: number, month: number, day: number, hour = 12): number =>
  new Date(year, month - 1, day, hour).getTime() / 1000;

describe("figures", () => {
  it.each([
    [0.002, "< 0.01 s"],
    [0.214, "0.21 s"],
    [1.26, "1.3 s"],
    [12.3, "12 s"],
    [59.7, "1 min"],
    [75, "1 min 15 s"],
  ])("%f seconds", (value, text) => expect(formatSeconds(value)).toBe(text));

  it.each([
    [4.84, "4.8 tokens/s"],
    [48.2, "48 tokens/s"],
    [1234.5, "1,235 tokens/s"],
  ])("%f tokens a second", (value, text) => expect(formatRate(value)).toBe(text));

  it.each([
    [512, "512 B"],
    [9_960, "10 kB"],
    [61_000_000, "61 MB"],
    [999_600_000, "1.0 GB"],
    [5_030_000_000, "5.0 GB"],
  ])("%i bytes", (value, text) => expect(formatBytes(value)).toBe(text));

  it.each([
    [15_200_000, "15 M"],
    [8_190_000_000, "8.2 B"],
    [70_000_000_000, "70 B"],
    ["7B", "7B"],
  ])("%s parameters", (value, text) => expect(formatParameters(value)).toBe(text));
});

describe("formatDay", () => {
  const now = new Date(2026, 10, 21, 0, 30);
  it.each([
    [at(2026, 11, 21, 0), "Today"],
    [at(2026, 11, 20, 23), "Yesterday"],
    [at(2026, 11, 20, 1), "Yesterday"],
    [at(2026, 11, 19), "Thursday"],
    [at(2026, 11, 15), "Sunday"],
    [at(2026, 11, 14), "November"],
    [at(2025, 11, 19), "November 2025"],
    [at(2026, 11, 22), "Today"],
  ])("%i", (time, text) => expect(formatDay(time, now)).toBe(text));
});

describe("groupBy", () => {
  it("brings neighbours together and keeps the order", () => {
    expect(groupBy([1, 3, 2, 4, 5], (value) => (value % 2 === 0 ? "even" : "odd"))).toEqual([
      { heading: "odd", items: [1, 3] },
      { heading: "even", items: [2, 4] },
      { heading: "odd", items: [5] },
    ]);
  });
});

describe("parseSampling", () => {
  it("takes what the daemon would take", () => {
    expect(parseSampling('{"temperature":0,"max_tokens":64}')).toEqual({ temperature: 0, max_tokens: 64 });
  });

  it.each([null, "", "no json", "null", "[]", '{"temperature":9,"max_tokens":0.5}', '{"seed":"x"}'])(
    "makes nothing of %j",
    (text) => expect(parseSampling(text)).toEqual({}),
  );
});
