import { Rocket } from "lucide-react";
import { useMay } from "../api/useSession";
import { usePath, useSearch } from "../app/router";
import { deployTexts as t } from "../texts/fleet/deploy";
import { Button } from "../ui/Button";
import { openDeploy, targetOf } from "./openDeploy";

/** Deploys the open track, for people who may; disabled, with the reason, where none is open. A phone has it in the track's menu. */
export function DeployButton() {
  const target = targetOf(usePath(), useSearch());
  const mayDeploy = useMay("operator");
  if (!mayDeploy) return null;
  return (
    <Button icon={<Rocket size={14} aria-hidden />} disabled={!target} title={target ? t.deployHint : t.chooseTrack} aria-label={t.deploy} className="max-md:hidden" onClick={() => target && openDeploy(target)}>
      {t.deploy}
    </Button>
  );
}
