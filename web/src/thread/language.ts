/*
 * The names of code blocks' languages as people write them.
 * Promises: pure; a tag nobody knows is shown as it is. Does not cover: telling a language from its code.
 */

const LANGUAGES: Record<string, string> = {
  bash: "Shell",
  c: "C",
  "c++": "C++",
  cpp: "C++",
  cs: "C#",
  css: "CSS",
  go: "Go",
  html: "HTML",
  java: "Java",
  javascript: "JavaScript",
  js: "JavaScript",
  json: "JSON",
  jsx: "JSX",
  kotlin: "Kotlin",
  md: "Markdown",
  php: "PHP",
  py: "Python",
  python: "Python",
  rb: "Ruby",
  ruby: "Ruby",
  rs: "Rust",
  rust: "Rust",
  sh: "Shell",
  shell: "Shell",
  sql: "SQL",
  swift: "Swift",
  toml: "TOML",
  ts: "TypeScript",
  tsx: "TSX",
  typescript: "TypeScript",
  xml: "XML",
  yaml: "YAML",
  yml: "YAML",
};

/** The name of a code block's language as people write it. */
export function languageName(tag: string): string {
  return LANGUAGES[tag.toLowerCase()] ?? tag;
}
