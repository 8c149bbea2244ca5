/*
 * The page's drawings: a flame and a set of line icons.
 * Promises: decorative; hidden from screen readers, so each button carries its own label. Does not cover: the favicon.
 */

const LINES = {
  arrowDown: "M12 5v14M6 13l6 6 6-6",
  arrowUp: "M12 19V5M6 11l6-6 6 6",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  book: "M5 5.500c2.500-.8 5-.6 7 .8 2-1.400 4.500-1.600 7-.8V18.500c-2.500-.8-5-.6-7 .8-2-1.400-4.500-1.600-7-.8zM12 6.300v13",
  box: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  chip: "M7.5 7.500h9v9h-9zM10 4v3.500M14 4v3.500M10 16.500V20M14 16.500V20M4 10h3.500M4 14h3.500M16.500 10H20M16.500 14H20",
  check: "M5 12.500l4.5 4.500L19 7.5",
  chevronDown: "M7 10l5 5 5-5",
  chevronLeft: "M14 7l-5 5 5 5",
  chevronRight: "M10 7l5 5-5 5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  download: "M12 4v11M7 10l5 5 5-5M5 20h14",
  hand: "M7 12V6.500a1.500 1.500 0 0 1 3 0V11M10 11V5a1.500 1.500 0 0 1 3 0v6M13 11V6a1.500 1.500 0 0 1 3 0v6M16 12V9a1.500 1.500 0 0 1 3 0v5.500c0 3.500-2.500 6-6 6s-5-1.500-6.500-4L4.500 13.500c-.6-1.500 1.300-2.500 2.500-1.500z",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  menu: "M4 7h16M4 12h16M4 17h16",
  moon: "M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z",
  pause: "M9 6v12M15 6v12",
  pencil: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  play: "M8 5.500v13l10-6.500z",
  plus: "M12 5v14M5 12h14",
  question: "M9 9.200a3 3 0 1 1 4.3 2.700c-.9.5-1.3 1-1.3 2.100M12 17.500v.1",
  retry: "M19 12a7 7 0 1 1-2.2-5.100M19 4v4h-4",
  search: "M11 4.500a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM16 16l4 4",
  sliders: "M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v1.500M12 19.500V21M3 12h1.500M19.5 12H21M5.6 5.600l1.1 1.100M17.3 17.300l1.1 1.100M5.6 18.400l1.1-1.100M17.3 6.700l1.1-1.1",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
} as const;

export type IconName = keyof typeof LINES | "stop";

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {name === "stop" ? <rect x="5" y="5" width="14" height="14" rx="3" fill="currentColor" /> : <path d={LINES[name]} />}
    </svg>
  );
}

export function Flame({ className = "" }: { className?: string }) {
  return (
    <svg className={`flame ${className}`} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path
        className="flame-outer"
        d="M17.2 1.600c.9 4.6-1.3 7.3-3.7 9.800C10.7 14.3 6 17.2 6 22a9.7 9 0 0 0 10 8.700A9.7 9 0 0 0 26 22c0-3.6-1.7-6.3-3.5-8.3-.3 2.1-1.2 3.5-2.7 4.3.9-5.8.4-12.5-2.6-16.400Z"
      />
      <path
        className="flame-inner"
        d="M16.3 16.500c.2 2.7-1.3 4-2.6 5.4-.9 1-1.6 2-1.6 3.400a4 4 0 0 0 4 3.9 4 4 0 0 0 4.1-3.900c0-3.6-2.7-5.3-3.9-8.800Z"
      />
    </svg>
  );
}
