/*
 * Knowledge as the page knows it: the collections, what is looked for in them, the document that is open.
 * Promises: one of each for the whole page, so that leaving the room loses no search and no answer. Does not cover: drawing.
 */
import { Collections } from "./collections";
import { Finder } from "./finder";
import { Reading } from "./reading";

export class Knowledge {
  readonly collections = new Collections();
  readonly finder = new Finder();
  readonly reading = new Reading();
}
