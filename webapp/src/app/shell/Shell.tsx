import "../../ui/all.css";
import { AudioLines, Activity, Lightbulb, Search, Sparkles, Upload, Waves } from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useState, type MouseEvent } from "react";
import { leaveLive } from "../../live/useLive";
import { texts } from "../../texts";
import { Button, IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Empty, Kbd } from "../../ui/states";
import { Spinner } from "../../ui/Spinner";
import { AlarmChip } from "../../alarms/AlarmChip";
import { AccountMenu } from "./AccountMenu";
import { ConnectionChip } from "./ConnectionChip";
import { ErrorBoundary } from "../ErrorBoundary";
import { part, preloadWhenIdle } from "../part";
import { Link, matchPath, navigate, usePath } from "../router";
import { findRoute, ROUTES } from "../routes";
import { DeployButton } from "../../deploy/DeployButton";
import { DeployHost, DeploySheet } from "../../deploy/DeployHost";
import { isMac, nameKeys, PAGE_KEYS } from "../shortcuts/pageKeys";
import { openTrackId, runCommand, showPalette } from "../shortcuts/runCommand";
import { CommandPalette, ShortcutHost } from "../shortcuts/ShortcutHost";
import { UploadHost } from "../../upload/UploadHost";
import { useLiveQueries } from "../live/useLiveQueries";
import { WorkersChip } from "./WorkersChip";
import { openUpload } from "../../upload/openUpload";
import { useMay } from "../../api/useSession";

const AREAS = [
  { to: "/tracks", label: texts.app.library, icon: AudioLines, patterns: ["/", "/tracks/:trackId?/:tab?"] },
  { to: "/devices", label: texts.app.devices, icon: Lightbulb, patterns: ["/devices/:deviceId?", "/deployments/:deploymentId?", "/fleet", "/alarms"] },
  { to: "/activity", label: texts.app.activity, icon: Activity, patterns: ["/activity"] },
] as const;

const LogSheet = part(() => import("../../activity/LogSheet"));
const PHONE = "(max-width: 767px)";

/** What a click or a key in the frame shows. */
const SOON = [...AREAS.flatMap(({ to }) => findRoute(ROUTES, to)?.route.page ?? []), CommandPalette, DeploySheet];

/** The frame around every page: toolbar, the page itself, and what lies over all pages. */
export default function Shell() {
  useLiveQueries();
  useEffect(() => leaveLive, []);
  useEffect(() => preloadWhenIdle(SOON), []);
  const path = usePath();
  const [hasLog, setHasLog] = useState(false);
  const matched = findRoute(ROUTES, path);
  const Page = matched?.route.page;
  return (
    <div className="flex h-full flex-col">
      <a href="#content" className="sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50 focus:rounded focus:bg-panel focus:px-3 focus:py-2">
        {texts.app.skipToContent}
      </a>
      <Toolbar path={path} onLog={() => setHasLog(true)} />
      <main id="content" tabIndex={-1} className="min-h-0 flex-1 outline-none">
        <ErrorBoundary key={matched?.route.pattern ?? "none"}>
          <Suspense fallback={<Loading />}>{Page && matched ? <Page fields={matched.fields} /> : <NotFound />}</Suspense>
        </ErrorBoundary>
      </main>
      <UploadHost />
      <DeployHost />
      <ShortcutHost />
      <Suspense>{hasLog && <LogSheet onClose={() => setHasLog(false)} />}</Suspense>
    </div>
  );
}

function Toolbar({ path, onLog }: { path: string; onLog: () => void }) {
  const mayEdit = useMay("editor");
  const showLog = (event: MouseEvent) => {
    if (!matchMedia(PHONE).matches || path === "/activity") return;
    event.preventDefault();
    onLog();
  };
  return (
    <header className="flex h-12 shrink-0 items-center gap-1 border-b md:gap-2 border-line bg-panel px-2 md:px-3">
      <Link to="/tracks" className="mr-1 hidden items-center gap-2 rounded px-1 font-semibold tracking-tight md:flex" aria-label={texts.common.productName}>
        <img src="/icon.svg" alt="" width={22} height={22} />
        K1
      </Link>
      <nav aria-label={texts.app.navigation} className="flex gap-0.5">
        {AREAS.map(({ to, label, icon: Icon, patterns }) => {
          const isCurrent = patterns.some((pattern) => matchPath(pattern, path));
          return (
            <Link
              key={to}
              to={to}
              onClick={to === "/activity" ? showLog : undefined}
              aria-current={isCurrent ? "page" : undefined}
              className={cx(
                "touch-target flex h-8 items-center justify-center gap-1.5 rounded px-2.5 text-sm",
                isCurrent ? "bg-hover font-medium text-text" : "text-muted hover:bg-raised hover:text-text",
              )}
            >
              <Icon size={15} aria-hidden />
              <span className="hidden md:inline">{label}</span>
              <span className="sr-only md:hidden">{label}</span>
            </Link>
          );
        })}
      </nav>
      <div className="flex-1" />
      <SearchButton />
      <AlarmChip />
      <WorkersChip />
      <ConnectionChip />
      {mayEdit && openTrackId(path) !== undefined && <TrackActions />}
      <DeployButton />
      {mayEdit && (
        <Button tone="primary" icon={<Upload size={14} aria-hidden />} onClick={openUpload} aria-label={texts.app.upload}>
          <span className="hidden md:inline">{texts.app.upload}</span>
        </Button>
      )}
      <AccountMenu />
    </header>
  );
}

/** What else can be done with the open track. Narrower windows have it in the menu and the tabs of the track. */
function TrackActions() {
  const context = { queryClient: useQueryClient(), mayEdit: true, mayDeploy: false };
  return (
    <div role="group" aria-label={texts.app.openTrack} className="hidden xl:flex">
      <IconButton label={texts.app.analyse} onClick={() => runCommand("analyse", context)}><Waves size={15} aria-hidden /></IconButton>
      <IconButton label={texts.app.recommend} onClick={() => runCommand("recommend", context)}><Sparkles size={15} aria-hidden /></IconButton>
    </div>
  );
}

function SearchButton() {
  return (
    <button
      type="button"
      title={texts.app.commands}
      aria-keyshortcuts="Control+K"
      onClick={showPalette}
      className="touch-target flex h-8 items-center justify-center gap-2 rounded px-2 text-sm text-muted hover:bg-raised hover:text-text xl:w-56 xl:justify-start xl:border xl:border-line xl:bg-bg"
    >
      <Search size={14} aria-hidden />
      <span className="sr-only flex-1 text-left xl:not-sr-only">{texts.common.search}</span>
      <span className="hidden gap-1 xl:flex">{nameKeys(PAGE_KEYS.palette, isMac()).map((key) => <Kbd key={key}>{key}</Kbd>)}</span>
    </button>
  );
}

function Loading() {
  return (
    <div role="status" className="flex h-full items-center justify-center gap-2 text-muted">
      <Spinner />
      {texts.common.loading}
    </div>
  );
}

function NotFound() {
  return <Empty page title={texts.app.notFoundTitle} text={texts.app.notFoundText} action={<Button onClick={() => navigate("/tracks")}>{texts.app.toLibrary}</Button>} />;
}
