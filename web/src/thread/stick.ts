/*
 * Keeps a growing thread's end in view until its reader scrolls up.
 * Promises: a reader who scrolls up is left alone, and back at the end is held there again; a change of size of the content
 * or of the window counts as growing. Does not cover: keeping a place when things above it change.
 */
import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

const NEAR_PX = 48;

export interface Stick {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  /** The end is in view, or followed. */
  atEnd: boolean;
  toEnd: () => void;
}

export function useStickToEnd(): Stick {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const lastTop = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    following.current = true;
    element.scrollTop = element.scrollHeight;
    lastTop.current = element.scrollTop;
    setAtEnd(true);
  }, []);

  useEffect(() => {
    const element = scroller.current;
    const inside = content.current;
    if (!element || !inside) return;

    const distance = (): number => element.scrollHeight - element.clientHeight - element.scrollTop;
    const scrolled = (): void => {
      const up = element.scrollTop < lastTop.current - 1;
      lastTop.current = element.scrollTop;
      if (distance() <= NEAR_PX) following.current = true;
      else if (up) following.current = false;
      setAtEnd(following.current || distance() <= NEAR_PX);
    };
    // A turn of the wheel upwards means it at once, even while pieces keep pulling down.
    const wheel = (event: WheelEvent): void => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) {
        following.current = false;
        setAtEnd(false);
      }
    };
    const grown = new ResizeObserver(() => {
      if (following.current) {
        element.scrollTop = element.scrollHeight;
        lastTop.current = element.scrollTop;
      } else setAtEnd(distance() <= NEAR_PX);
    });
    element.addEventListener("scroll", scrolled, { passive: true });
    element.addEventListener("wheel", wheel, { passive: true });
    grown.observe(inside);
    grown.observe(element);
    return () => {
      element.removeEventListener("scroll", scrolled);
      element.removeEventListener("wheel", wheel);
      grown.disconnect();
    };
  }, []);

  return { scroller, content, atEnd, toEnd };
}
