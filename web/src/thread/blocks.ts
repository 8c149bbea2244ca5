/*
 * Cuts Markdown that is still coming in into blocks, so that only the last one is parsed again with each piece.
 * Promises: pure; the blocks joined are the text; no cut inside a code fence, a list, a quotation or a table; a block, once
 * another follows it, never changes while the text grows.
 * Does not cover: what reaches across blocks (reference links, footnotes). A finished answer is parsed as one.
 */

const FENCE = /^\s*(`{3,}|~{3,})(.*)$/;
/** A line with which a block that came before may go on: an indented line, a list's next item, a quotation, a table's row. */
const CONTINUES = /^(\s|[-*+]\s|\d{1,9}[.)]\s|>|\|)/;

export function cutBlocks(text: string): string[] {
  const blocks: string[] = [];
  let start = 0;
  let position = 0;
  let fence: string | null = null;
  let afterBlank = false;
  while (position < text.length) {
    const newline = text.indexOf("\n", position);
    const end = newline < 0 ? text.length : newline + 1;
    const line = text.slice(position, newline < 0 ? end : newline);
    if (fence === null && afterBlank && line.trim() !== "" && !CONTINUES.test(line)) {
      // The last line may still grow into something that continues ("1" into "1. two"): only a line with its end, or one
      // that is already plain, opens a block.
      if (newline >= 0 || /^[^\s\d\-*+>|]/.test(line)) {
        blocks.push(text.slice(start, position));
        start = position;
      }
    }
    const mark = FENCE.exec(line);
    if (mark?.[1]) {
      if (fence === null) fence = mark[1];
      else if (mark[1][0] === fence[0] && mark[1].length >= fence.length && (mark[2] ?? "").trim() === "") fence = null;
    }
    afterBlank = line.trim() === "";
    position = end;
  }
  if (start < text.length) blocks.push(text.slice(start));
  return blocks;
}
