import { resolve } from "node:path";
import type { Plugin, Rolldown } from "vite";

const FILE = "preload.json";

/**
 * Writes `preload.json`: the files that parts of the page need besides the entry, by a name for each part.
 *
 * The gateway announces them to browsers of people who are signed in, which then load them beside the entry.
 */
export function listPreloads(parts: Readonly<Record<string, readonly string[]>>): Plugin {
  let root = "";
  return {
    name: "k1-list-preloads",
    apply: "build",
    configResolved: (config) => {
      root = config.root;
    },
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const entry = filesOf(chunks.filter(({ isEntry }) => isEntry), chunks);
      const listed = Object.entries(parts).map(([name, modules]) => {
        const ids = new Set(modules.map((path) => resolve(root, path)));
        const needed = filesOf(chunks.filter(({ moduleIds }) => moduleIds.some((id) => ids.has(id))), chunks);
        return [name, [...needed].filter((file) => !entry.has(file)).sort()] as const;
      });
      this.emitFile({ type: "asset", fileName: FILE, source: `${JSON.stringify(Object.fromEntries(listed), null, 2)}\n` });
    },
  };
}

/** Returns the files of chunks, of their styles and of all that they import statically. */
function filesOf(first: readonly Rolldown.OutputChunk[], all: readonly Rolldown.OutputChunk[]): Set<string> {
  const files = new Set<string>();
  const waiting = [...first];
  for (let chunk = waiting.pop(); chunk; chunk = waiting.pop()) {
    if (files.has(chunk.fileName)) continue;
    files.add(chunk.fileName);
    for (const style of chunk.viteMetadata?.importedCss ?? []) files.add(style);
    const { imports } = chunk;
    waiting.push(...all.filter(({ fileName }) => imports.includes(fileName)));
  }
  return files;
}
