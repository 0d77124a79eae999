import { ArrowLeft, Rocket } from "lucide-react";
import { Link } from "../app/router";
import type { PageProps } from "../app/routes";
import { FleetTabs } from "../devices/FleetTabs";
import { common } from "../texts/common";
import { deployTexts as t } from "../texts/fleet/deploy";
import { cx } from "../ui/cx";
import { Empty } from "../ui/states";
import { DeploymentList } from "./DeploymentList";
import { DeploymentPanel } from "./live/DeploymentPanel";

/** The deployments, and beside them the open one. A phone shows one of the two. */
export default function DeploymentsPage({ fields }: PageProps) {
  const { deploymentId } = fields;
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <FleetTabs current="deployments" />
      <div className="flex min-h-0 flex-1">
        <section aria-label={t.title} className={cx("min-w-0 shrink-0 overflow-y-auto border-r border-line bg-panel md:block md:w-80 xl:w-96", deploymentId ? "hidden" : "w-full")}>
          <DeploymentList openId={deploymentId} />
        </section>
        <section aria-label={t.deploy} className={cx("min-w-0 flex-1 overflow-y-auto", !deploymentId && "hidden md:block")}>
          {deploymentId ? (
            <div className="mx-auto max-w-5xl p-4">
              <Link to="/deployments" className="touch-target mb-2 inline-flex items-center gap-1.5 text-sm text-muted hover:text-text md:hidden"><ArrowLeft size={14} aria-hidden />{common.back}</Link>
              <DeploymentPanel key={deploymentId} deploymentId={deploymentId} />
            </div>
          ) : (
            <Empty icon={<Rocket size={28} />} title={t.chooseOne} />
          )}
        </section>
      </div>
    </div>
  );
}
