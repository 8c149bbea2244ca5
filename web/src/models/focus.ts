/*
 * Where the focus goes when the thing that held it is gone.
 * Promises: to the first of these elements that is there once the page has been drawn. Does not cover: choosing them.
 */
export function focusFirst(...ids: string[]): void {
  // The list is drawn anew first: what is about to go must not be given the focus.
  setTimeout(() => {
    for (const id of ids) {
      const element = document.getElementById(id);
      if (element) return element.focus();
    }
  }, 60);
}
