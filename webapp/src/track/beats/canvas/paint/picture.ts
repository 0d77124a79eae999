/** Defines what the canvases of the beat editor show. */
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
  /** Other beats to compare with, such as those of the analysis. */
  readonly compared: readonly number[];
  readonly loop: { readonly startMs: number; readonly endMs: number } | null;
}
