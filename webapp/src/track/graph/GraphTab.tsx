import { track as trackTexts } from "../../texts/track";
import { Empty } from "../../ui";

export interface GraphTabProps {
  trackId: string;
  /** The version that is shown. */
  version: number;
}

/** The graph of a version. */
export default function GraphTab({ version }: GraphTabProps) {
  return <Empty title={trackTexts.tabs.graph} text={trackTexts.header.version(version)} />;
}
