import { lazy, useState, type ComponentType, type ReactNode } from "react";

/** A part of the page with its code in a file of its own. It is loaded when the part is first shown, or before. */
export interface Part<Props extends object> {
  (props: Props): ReactNode;
  /** Loads the code before it is shown. Settles also where that fails: who shows the part then gets the error. */
  preload: () => Promise<void>;
}

/**
 * Makes a part of a function that imports its module.
 *
 * A part whose code is there is shown at once. React's `lazy` alone would show the fallback of the next Suspense, and
 * hold back what follows it for 300 ms.
 */
export function part<Props extends object>(load: () => Promise<{ default: ComponentType<Props> }>): Part<Props> {
  let loaded: ComponentType<Props> | undefined;
  const start = async () => {
    const module = await load();
    loaded = module.default;
    return module;
  };
  const Lazy = lazy(start) as unknown as ComponentType<Props>;
  const show = (props: Props) => {
    // What was chosen stays while the part is shown: with another type it would begin again.
    const [Shown] = useState(() => loaded ?? Lazy);
    return <Shown {...props} />;
  };
  return Object.assign(show, { preload: () => start().then(ignore, ignore) });
}

const ignore = () => undefined;

/** How long the page has to itself before code is loaded that may be needed later. */
const HEAD_START_MS = 1_000;
/** Between two parts, where the browser does not say when it has time. */
const PAUSE_MS = 50;

/** Loads parts that are likely to be needed next, one after the other, each when the browser has time; returns how to
 * call it off. */
export function preloadWhenIdle(parts: readonly { preload: () => Promise<void> }[]): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let idle: number | undefined;
  let isOff = false;
  const preload = async ([next, ...others]: typeof parts): Promise<void> => {
    await next?.preload();
    if (others.length > 0 && !isOff) wait(others);
  };
  const wait = (left: typeof parts): void => {
    // Safari has no idle callbacks.
    if (typeof requestIdleCallback === "function") idle = requestIdleCallback(() => void preload(left));
    else timer = setTimeout(() => void preload(left), PAUSE_MS);
  };
  timer = setTimeout(() => wait(parts), HEAD_START_MS);
  return () => {
    isOff = true;
    clearTimeout(timer);
    if (idle !== undefined) cancelIdleCallback(idle);
  };
}
