import { resolve } from "node:path";
import type { Rolldown } from "vite";

type Group = Rolldown.CodeSplittingGroup;
type Context = Parameters<Rolldown.CodeSplittingNameFunction>[1];

/**
 * Returns the groups of modules that become one file each, the first of which has the first choice.
 *
 * Each file costs a round trip, and browsers load six at once. So what the entry needs is one file beside React, and
 * what the signed-in pages need first is another.
 */
export function makeGroups(root: string, { first, open }: { first: readonly string[]; open: readonly string[] }): Group[] {
  return [
    { name: "core", test: /\/node_modules\/(react|react-dom|scheduler)\//, priority: 4 },
    { name: "start", tags: ["$initial"], priority: 3 },
    // What the pages for everyone share with the others, so that signing in does not load the others.
    { ...reachableFrom("shared", open.map((path) => resolve(root, path))), priority: 2, minShareCount: 2 },
    { ...reachableFrom("first", first.map((path) => resolve(root, path))), priority: 1 },
    { name: "widgets", test: /\/node_modules\/(radix-ui|@radix-ui)\//, priority: 0 },
    { name: "icons", test: /\/lucide-react\/dist\/esm\/icons\//, priority: 0 },
  ];
}

/** Returns a group of the modules that the roots import statically, directly or not. */
function reachableFrom(name: string, roots: readonly string[]): Group {
  let reached: Set<string> | undefined;
  return {
    debugName: name,
    name: (id, context) => {
      reached ??= closure(roots, context);
      return reached.has(id) ? name : null;
    },
  };
}

function closure(roots: readonly string[], context: Context): Set<string> {
  const reached = new Set<string>();
  const waiting = [...roots];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    waiting.push(...(context.getModuleInfo(id)?.importedIds ?? []));
  }
  return reached;
}
