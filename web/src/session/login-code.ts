/*
 * Finds the one-time login code in an address or in what a person pasted.
 * Promises: pure; never keeps a code. Does not cover: sending it (see session.ts).
 */

const CODE = /^[A-Za-z0-9._~-]{4,200}$/;

/** The code in an address's fragment (`#login=CODE`), or null. */
export function codeInFragment(fragment: string): string | null {
  const words = new URLSearchParams(fragment.replace(/^#\/?/, ""));
  const code = words.get("login");
  return code !== null && code !== "" ? code : null;
}

/** The code in what a person pasted: the whole link, a part of it, or the bare code. */
export function codeInText(text: string): string | null {
  const trimmed = text.trim().replace(/^["'<`]+|["'>`]+$/g, "");
  const mark = trimmed.indexOf("login=");
  if (mark >= 0) return codeInFragment(trimmed.slice(mark).split(/[\s&]/)[0] ?? "");
  return CODE.test(trimmed) ? trimmed : null;
}
