import type { Schemas } from "../api/types";
import { Link } from "../app/router";
import { TrackName } from "../app/shell/TrackName";
import { devicesTexts as t } from "../texts/fleet/devices";

/** A bundle by the track and version that it was made from. */
export function BundleName({ bundle, isLink = false }: { bundle: Schemas["RunningBundle"] | null | undefined; isLink?: boolean }) {
  if (!bundle) return <span className="text-muted">{t.nothing}</span>;
  const { track_id, version, bundle_sha256 } = bundle;
  if (!track_id) return <span className="font-mono text-xs">{t.otherBundle(bundle_sha256)}</span>;
  const name = <><TrackName trackId={track_id} /> <span className="text-muted">v{version}</span></>;
  return isLink ? <Link to={`/tracks/${track_id}?v=${version ?? ""}`} className="touch-target inline-flex items-center gap-1 hover:underline pointer-coarse:-my-3">{name}</Link> : <span>{name}</span>;
}
