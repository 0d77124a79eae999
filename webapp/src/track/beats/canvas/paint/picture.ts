/** Defines what the canvases of the beat editor show. */
import type { ComparisonMarks } from "../../comparison/marks";
import type { Beat } from "../../model";

export type SectionKind = "intro" | "verse" | "build" | "drop" | "breakdown" | "chorus" | "outro" | "section";

export interface PaintedSection {
  readonly startMs: number;
  readonly endMs: number;
  readonly name: string;
  readonly kind: SectionKind;
  readonly energy: number;
}

export interface GridPicture {
  readonly beats: readonly Beat[];
  readonly selection: ReadonlySet<number>;
  readonly sections: readonly PaintedSection[];
  /** How the beats differ from others, such as those of another version. */
  readonly comparison: ComparisonMarks | null;
  readonly loop: { readonly startMs: number; readonly endMs: number } | null;
}
