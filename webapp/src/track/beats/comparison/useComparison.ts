import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { setSearch, useSearch } from "../../../app/router";
import { track as trackTexts } from "../../../texts/track/track";
import { beatSheet } from "../../queries";
import type { ComparedBeat } from "../model";
import type { Alternative, BeatSheet } from "../sheet";
import { nameOf } from "../toolbar/AlternativesMenu";
import { beatsAt, marksOf, type ComparisonMarks } from "./marks";

const t = trackTexts.comparison;

/** Other beats that are shown beside those of the version. */
export interface Comparison {
  /** What the others are called. */
  readonly name: string;
  readonly marks: ComparisonMarks;
}

export interface Comparing {
  /** The version that was chosen, also while its beats are being read. */
  readonly version: number | null;
  readonly alternative: Alternative | null;
  readonly shown: Comparison | null;
  readonly error: unknown;
  readonly chooseVersion: (version: number) => void;
  readonly chooseAlternative: (alternative: Alternative) => void;
  /** Compares with beats that someone else saved meanwhile. */
  readonly chooseTheirs: () => void;
  readonly stop: () => void;
}

/** Holds which other beats the canvas shows. A version stands in the address, so that a link shows the same. */
export function useComparison(trackId: string, shownVersion: number, beats: readonly ComparedBeat[], newer: BeatSheet | null): Comparing {
  const [alternative, setAlternative] = useState<Alternative | null>(null);
  const [isTheirs, setIsTheirs] = useState(false);
  const given = Number(useSearch().get("with"));
  const version = Number.isInteger(given) && given > 0 && given !== shownVersion ? given : null;
  const other = useQuery({ ...beatSheet(trackId, version ?? 0), enabled: version !== null });

  const choose = (chosen: { version?: number; alternative?: Alternative; theirs?: boolean }): void => {
    setAlternative(chosen.alternative ?? null);
    setIsTheirs(chosen.theirs ?? false);
    setSearch({ with: chosen.version === undefined ? undefined : String(chosen.version) });
  };

  const theirs = isTheirs ? newer : null;
  const others = useMemo(() => {
    if (theirs !== null) return { name: t.theirs, beats: theirs.beats };
    if (alternative !== null) return { name: nameOf(alternative), beats: beatsAt(alternative.beatsMs, alternative.downbeatsMs) };
    return version !== null && other.data ? { name: trackTexts.header.version(version), beats: other.data.beats } : null;
  }, [theirs, alternative, version, other.data]);
  const shown = useMemo(() => others && { name: others.name, marks: marksOf(others.beats, beats) }, [others, beats]);

  return {
    version,
    alternative,
    shown,
    error: version !== null ? other.error : null,
    chooseVersion: (chosen) => choose({ version: chosen }),
    chooseAlternative: (chosen) => choose({ alternative: chosen }),
    chooseTheirs: () => choose({ theirs: true }),
    stop: () => choose({}),
  };
}
