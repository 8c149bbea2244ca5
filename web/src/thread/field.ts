/*
 * What the two fields for writing a message have in common.
 * Promises: a field grows with its text up to the height the stylesheet allows; Enter sends, Shift+Enter does not, and an
 * Enter that only confirms a character being composed (Japanese, Chinese, Korean) never does.
 */
import type { KeyboardEvent } from "react";

export function fitHeight(field: HTMLTextAreaElement): void {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

export function isSendKey(event: KeyboardEvent): boolean {
  const composing = event.nativeEvent.isComposing || event.keyCode === 229;
  return event.key === "Enter" && !event.shiftKey && !event.altKey && !composing;
}
