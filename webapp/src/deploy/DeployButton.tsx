import { Rocket } from "lucide-react";
import { usePath, useSearch } from "../app/router";
import { deployTexts as t } from "../texts/deploy";
import { Button } from "../ui/Button";
import { openDeploy, targetOf } from "./openDeploy";

/** Deploys the open track; disabled, with the reason, where none is open. */
export function DeployButton() {
  const target = targetOf(usePath(), useSearch());
  return (
    <Button icon={<Rocket size={14} aria-hidden />} disabled={!target} title={target ? t.deployHint : t.chooseTrack} aria-label={t.deploy} onClick={() => target && openDeploy(target)}>
      <span className="hidden md:inline">{t.deploy}</span>
    </Button>
  );
}
