import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { trackDetail } from "../api/queries";
import { useMay } from "../api/useSession";
import { ErrorBoundary } from "../app/ErrorBoundary";
import { Link, navigate, useSearch } from "../app/router";
import type { PageProps } from "../app/routes";
import { useMatches } from "../app/useMatches";
import { library as t } from "../texts/library";
import { cx } from "../ui/cx";
import { BatchBar } from "./BatchBar";
import { useBatch } from "./batch";
import { readFilters, showsAll, toQuery } from "./filters";
import { LibraryToolbar } from "./LibraryToolbar";
import { TrackPage } from "./list/preload";
import { NOTHING, type Selection } from "./list/selection";
import { TrackListView } from "./list/TrackListView";
import type { TrackSummary } from "../api/types";

/** The library: the list of tracks, and beside it the open track. A phone shows one of the two. */
export default function LibraryPage({ fields }: PageProps) {
  const { trackId, tab } = fields;
  const parameters = useSearch().toString();
  const filters = useMemo(() => readFilters(new URLSearchParams(parameters)), [parameters]);
  const query = useMemo(() => toQuery(filters), [filters]);
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const [total, setTotal] = useState<number>();
  const mayEdit = useMay("editor");
  const batch = useBatch();
  const prefetch = usePrefetch();
  const hasList = useHasList(trackId === undefined);

  useEffect(() => setSelection(NOTHING), [query]);

  const open = useCallback((track: TrackSummary) => navigate(trackAddress(track.id, location.search)), []);
  const remove = (trackIds: readonly string[]) => {
    void batch({ action: "delete" }, trackIds);
    setSelection(NOTHING);
  };

  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <PhoneTabs trackId={trackId} search={parameters} />
      <div className="flex min-h-0 flex-1">
        <section
          aria-label={t.title}
          className={cx(
            "min-w-0 flex-col bg-panel",
            trackId ? "hidden w-72 shrink-0 border-r border-line md:flex xl:w-96" : "flex flex-1",
          )}
        >
          {hasList && (
            <>
              <LibraryToolbar filters={filters} total={total} />
              <div className="min-h-0 flex-1">
                <TrackListView
                  query={query}
                  showsAll={showsAll(filters)}
                  openTrackId={trackId}
                  selection={selection}
                  mayEdit={mayEdit}
                  onSelection={setSelection}
                  onOpen={open}
                  onHover={prefetch}
                  onTotal={setTotal}
                  onDelete={remove}
                />
              </div>
            </>
          )}
          {mayEdit && selection.ids.size > 0 && (
            <BatchBar trackIds={[...selection.ids]} areDeleted={filters.status === "deleted"} onDone={() => setSelection(NOTHING)} />
          )}
        </section>
        {trackId && (
          <section aria-label={t.details} className="min-w-0 flex-1 overflow-auto">
            <ErrorBoundary key={trackId}>
              <Suspense>
                <TrackPage trackId={trackId} tab={tab} />
              </Suspense>
            </ErrorBoundary>
          </section>
        )}
      </div>
    </div>
  );
}

/** Returns whether there is a list. Where a phone begins with a track, it is not made until somebody goes to it; then it
 * stays, with its place. */
function useHasList(isShown: boolean): boolean {
  const isWide = useMatches("(min-width: 48rem)");
  const [wasShown, setWasShown] = useState(false);
  if ((isShown || isWide) && !wasShown) setWasShown(true);
  return isShown || isWide || wasShown;
}

function trackAddress(trackId: string, search: string): string {
  return `/tracks/${trackId}${search}`;
}

/** On a phone: which of the two parts is shown. */
function PhoneTabs({ trackId, search }: { trackId: string | undefined; search: string }) {
  const last = useRef(trackId);
  if (trackId) last.current = trackId;
  const query = search ? `?${search}` : "";
  const tabs = [
    { label: t.title, to: `/tracks${query}`, isCurrent: !trackId },
    { label: t.details, to: last.current ? trackAddress(last.current, query) : undefined, isCurrent: Boolean(trackId) },
  ];
  return (
    <nav aria-label={t.title} className="grid shrink-0 grid-cols-2 border-b border-line bg-panel md:hidden">
      {tabs.map(({ label, to, isCurrent }) => {
        const className = cx("flex h-11 items-center justify-center border-b-2 text-sm", isCurrent ? "border-accent font-medium" : "border-transparent text-muted");
        return to ? (
          <Link key={label} to={to} aria-current={isCurrent ? "page" : undefined} className={className}>{label}</Link>
        ) : (
          <span key={label} aria-disabled="true" className={className}>{label}</span>
        );
      })}
    </nav>
  );
}

/** Loads the track under the pointer before it is clicked, once the pointer rests. */
function usePrefetch(): (track: TrackSummary) => void {
  const queryClient = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(
    (track) => {
      clearTimeout(timer.current);
      timer.current = setTimeout(() => {
        void queryClient.prefetchQuery(trackDetail(track.id));
        void TrackPage.preload();
      }, 90);
    },
    [queryClient],
  );
}
