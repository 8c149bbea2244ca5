/*
 * Light, dark, or as the system says.
 * Promises: kept in this browser; public/theme.js sets it before the first paint. Does not cover: colours; the stylesheet does.
 */
import { useState } from "react";
import { keep, readKept } from "../kept";
import { Icon, type IconName } from "./icons";

type Theme = "auto" | "light" | "dark";

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const ICON: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };
const NAME: Record<Theme, string> = { auto: "as the system", light: "light", dark: "dark" };

function kept(): Theme {
  const value = readKept("theme");
  return value === "light" || value === "dark" ? value : "auto";
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(kept);
  const label = `Colours: ${NAME[theme]}. Change to ${NAME[NEXT[theme]]}`;
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      onClick={() => {
        const next = NEXT[theme];
        setTheme(next);
        keep("theme", next === "auto" ? null : next);
        if (next === "auto") delete document.documentElement.dataset["theme"];
        else document.documentElement.dataset["theme"] = next;
      }}
    >
      <Icon name={ICON[theme]} />
    </button>
  );
}
