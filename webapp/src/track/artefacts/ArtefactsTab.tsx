import { track as trackTexts } from "../../texts/track";
import { Empty } from "../../ui";

export interface ArtefactsTabProps {
  trackId: string;
  /** The version that is shown. */
  version: number;
}

/** The artefacts of a version. */
export default function ArtefactsTab({ version }: ArtefactsTabProps) {
  return <Empty title={trackTexts.tabs.artefacts} text={trackTexts.header.version(version)} />;
}
