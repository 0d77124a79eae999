import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "../../api/types";
import { artefacts } from "../queries";
import { decodeShow, type Show } from "./preview";

/** The result of the flash check of a show. */
export interface FlashCheck {
  readonly passed: boolean;
  /** The first second that fails. */
  readonly firstMs: number | null;
}

export interface ShowPreview {
  readonly show: Show | null;
  readonly status: "loading" | "ready" | "missing" | "failed";
  /** Null where the check has not run. */
  readonly check: FlashCheck | null;
}

type Artefact = Schemas["Artefact"];

/** Return the frames of a version's show and the result of its flash check. */
export function useShow(trackId: string, version: number): ShowPreview {
  const list = useQuery(artefacts(trackId, version));
  const find = (type: string, name: string): Artefact | undefined =>
    list.data?.artefacts.find((each) => each.type === type && each.name === name && each.status === "present");
  const file = find("preview", "preview.bin");
  const frames = useQuery({
    // The address is signed anew each time; the content is named by its hash.
    queryKey: ["preview", file?.sha256],
    enabled: file?.url != null,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    queryFn: async ({ signal }) => {
      const response = await fetch(file?.url ?? "", { signal, credentials: "omit" });
      if (!response.ok) throw new Error(`The preview could not be fetched: ${response.status}`);
      return decodeShow(await response.arrayBuffer());
    },
  });
  const check = readCheck(find("visual_report", "visual.report.json")?.inline_json);
  const show = frames.data ?? null;
  if (show !== null) return { show, status: "ready", check };
  if (list.isError || frames.isError) return { show, status: "failed", check };
  return { show, status: list.isSuccess && file === undefined ? "missing" : "loading", check };
}

/** Return the flash check of a visual report; null where the report has none. */
export function readCheck(report: unknown): FlashCheck | null {
  const check = field(report, "photosensitivity");
  const passed = field(check, "passed");
  if (typeof passed !== "boolean") return null;
  const starts = ["general", "red"].flatMap((kind) => {
    const finding = field(check, kind);
    const at = field(finding, "at_ms");
    return field(finding, "passed") === false && typeof at === "number" ? [at] : [];
  });
  return { passed, firstMs: starts.length === 0 ? null : Math.min(...starts) };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined;
}
