import { Activity } from "lucide-react";
import { devicesTexts as t } from "../texts/fleet/devices";
import { cx } from "../ui/cx";
import { Empty } from "../ui/states";
import { KEPT_MS, levelOf, rangeOf, VALUES, type ReadingLine, type ValueName } from "./readings";
import { Sparkline } from "./Sparkline";
import { useReadings, useReadingsOf } from "./useReadings";

const TONES = { ok: "", warn: "text-warn", danger: "text-danger" } as const;

/** Drift, CPU, temperature and frame rate of a device, as it sends them. */
export function LiveValues({ deviceId }: { deviceId: string }) {
  useReadingsOf([deviceId]);
  const line = useReadings(deviceId);
  if (!line) return <Empty icon={<Activity size={24} />} title={t.noReadings} text={t.noReadingsText} className="h-40 rounded border border-line bg-panel" />;
  return (
    <>
      <div className="grid grid-cols-1 gap-2 sm:grid-cols-2">
        {VALUES.map((name) => <ValueCard key={name} name={name} line={line} />)}
      </div>
      {line.latest.error && <p role="alert" className="mt-2 text-sm text-danger">{t.error}: {line.latest.error}</p>}
      <p className="mt-1.5 text-xs text-muted">{t.liveHint(KEPT_MS / 1000)}</p>
    </>
  );
}

function ValueCard({ name, line }: { name: ValueName; line: ReadingLine }) {
  const value = line.latest[name];
  const [least, most] = rangeOf(line.values[name]).map((each) => each.toFixed(1));
  const text = `${value.toFixed(1)} ${t.units[name]}`;
  return (
    <section aria-label={t.values[name]} className="rounded border border-line bg-panel px-3 py-2">
      <div className="flex items-baseline gap-2">
        <h4 className="text-xs font-medium text-soft">{t.values[name]}</h4>
        <span className="flex-1 text-right text-2xs text-muted">{t.range(least ?? "", most ?? "")}</span>
      </div>
      <p className={cx("text-xl font-semibold", TONES[levelOf(name, value)])}>{value.toFixed(1)} <span className="text-xs font-normal text-muted">{t.units[name]}</span></p>
      <Sparkline line={line} name={name} hasZero={name === "drift_ms"} label={t.chart(t.values[name], text, least ?? "", most ?? "")} className="mt-1 h-16 w-full" />
    </section>
  );
}
