import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";

const CHANGED = "k1:location";

/** Goes to an address of the page. `replace` leaves no entry to go back to. */
export function navigate(to: string, { replace = false }: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search + location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  dispatchEvent(new Event(CHANGED));
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  addEventListener(CHANGED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(CHANGED, listener);
  };
}

/** Returns the path of the current address. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** Returns the parameters of the current address: what filters and tabs keep in the link. */
export function useSearch(): URLSearchParams {
  return new URLSearchParams(useSyncExternalStore(subscribe, () => location.search));
}

/** Changes parameters of the address; undefined removes one. Leaves no entry to go back to, unless `push`. */
export function setSearch(changes: Readonly<Record<string, string | undefined>>, { push = false }: { push?: boolean } = {}): void {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const query = parameters.toString();
  navigate(location.pathname + (query ? `?${query}` : ""), { replace: !push });
}

/** Returns the fields of a path by a pattern such as `/tracks/:trackId/:tab?`, or undefined where it does not match. */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/").filter(Boolean);
  const given = path.split("/").filter(Boolean);
  if (given.length > wanted.length) return undefined;
  const fields: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index];
    if (!part.startsWith(":")) {
      if (part !== value) return undefined;
    } else if (value !== undefined) {
      fields[part.replace(/^:|\?$/g, "")] = decodeURIComponent(value);
    } else if (!part.endsWith("?")) {
      return undefined;
    }
  }
  return fields;
}

export interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  to: string;
  replace?: boolean;
}

/** A link inside the page. A click with Ctrl or the middle button opens a tab, as everywhere. */
export function Link({ to, replace = false, onClick, ...rest }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to, { replace });
  };
  return <a {...rest} href={to} onClick={follow} />;
}
