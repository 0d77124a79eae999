import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const ENTRY_LIMIT = 100_000;
const TOTAL_LIMIT = 500_000;
const COMPRESSED = /\.(html|js|css|svg|json|txt|webmanifest)$/;
/** Smaller files fit into one packet as they are. */
const LEAST_BYTES = 1024;

/** Writes `.gz` and `.br` beside each text file of the bundle, and fails the build above the budgets. */
export function finishBundle(): Plugin {
  let folder = "";
  return {
    name: "k1-finish-bundle",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: "post",
      handler() {
        const sizes = compressAll(folder);
        const html = readFileSync(join(folder, "index.html"), "utf8");
        const entry = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, path]) => path ?? "");
        const entrySize = entry.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
        const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
        this.info(`entry ${kilobytes(entrySize)} of 100 kB, everything ${kilobytes(total)} of 500 kB (gzip)`);
        if (entrySize > ENTRY_LIMIT) this.error(`the entry has ${kilobytes(entrySize)} gzip; at most 100 kB are allowed`);
        if (total > TOTAL_LIMIT) this.error(`the bundle has ${kilobytes(total)} gzip; at most 500 kB are allowed`);
      },
    },
  };
}

/** Compresses every file below the folder, and returns the transferred size of each by its relative path. */
function compressAll(folder: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const path of filesBelow(folder)) {
    const content = readFileSync(path);
    const name = relative(folder, path).replaceAll("\\", "/");
    if (!COMPRESSED.test(path) || content.length < LEAST_BYTES) {
      sizes.set(name, content.length);
      continue;
    }
    const gzip = gzipSync(content, { level: 9 });
    const brotli = brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    });
    writeFileSync(`${path}.gz`, gzip);
    writeFileSync(`${path}.br`, brotli);
    sizes.set(name, gzip.length);
  }
  return sizes;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesBelow(path) : [path]))
    .filter((path) => !/\.(gz|br)$/.test(path));
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
