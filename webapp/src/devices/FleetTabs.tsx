import { Link } from "../app/router";
import { alarmsTexts, fleetTexts } from "../texts/fleet/alarms";
import { deployTexts } from "../texts/fleet/deploy";
import { devicesTexts } from "../texts/fleet/devices";
import { cx } from "../ui/cx";

const PAGES = [
  { id: "devices", to: "/devices", label: devicesTexts.title },
  { id: "deployments", to: "/deployments", label: deployTexts.title },
  { id: "alarms", to: "/alarms", label: alarmsTexts.title },
  { id: "fleet", to: "/fleet", label: fleetTexts.title },
] as const;

/** Changes between the devices, the deployments, the alarms and the figures of all. */
export function FleetTabs({ current }: { current: (typeof PAGES)[number]["id"] }) {
  return (
    <nav aria-label={devicesTexts.area} className="flex shrink-0 border-b border-line bg-panel px-2">
      {PAGES.map(({ id, to, label }) => (
        <Link key={id} to={to} aria-current={id === current ? "page" : undefined} className={cx("touch-target -mb-px flex h-10 items-center border-b-2 px-3 text-sm -outline-offset-2", id === current ? "border-accent font-medium" : "border-transparent text-muted hover:text-text")}>
          {label}
        </Link>
      ))}
    </nav>
  );
}
