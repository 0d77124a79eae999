import { Rocket } from "lucide-react";
import { useMay } from "../../api/useSession";
import { PAGE_KEYS } from "../../app/shortcuts/pageKeys";
import { openDeploy } from "../../deploy/openDeploy";
import { deployTexts } from "../../texts/deploy";
import { Button } from "../../ui";

/** Opens the deploy sheet with the version that is shown; for people who may deploy. */
export function DeployButton({ trackId, version }: { trackId: string; version: number | null }) {
  const mayDeploy = useMay("operator");
  if (!mayDeploy || version === null) return null;
  return (
    <Button
      icon={<Rocket size={14} aria-hidden />}
      title={`${deployTexts.deploy} (${PAGE_KEYS.deploy})`}
      onClick={() => openDeploy({ trackId, version })}
    >
      {deployTexts.deploy}
    </Button>
  );
}
