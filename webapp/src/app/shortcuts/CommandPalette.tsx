import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { Command } from "cmdk";
import { AudioLines, ChevronRight, SunMoon } from "lucide-react";
import { useDeferredValue, useEffect, useState, type ReactNode } from "react";
import { trackPage } from "../../api/queries";
import { useMay, useUser } from "../../api/useSession";
import { texts } from "../../texts";
import { library } from "../../texts/library";
import { shortcuts } from "../../texts/shortcuts";
import { Kbd } from "../../ui/states";
import { formatDuration } from "../format";
import { navigate } from "../router";
import { chooseTheme, type Theme } from "../theme";
import { isMac, nameKeys, PAGE_KEYS, type PageCommand } from "./pageKeys";
import { isPossible, runCommand, type CommandContext } from "./runCommand";

const t = shortcuts.palette;
const COMMANDS: readonly PageCommand[] = ["upload", "analyse", "deploy", "recommend", "help"];
const THEMES: readonly Theme[] = ["dark", "light", "system"];
const GROUP = "px-1 pb-1 [&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:font-medium [&_[cmdk-group-heading]]:text-muted";

/** Finds tracks, pages and commands by a few letters. */
export default function CommandPalette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  const search = useDeferredValue(text.trim());
  const { data: found, isPlaceholderData: isStale } = useQuery({ ...trackPage({ limit: 8, offset: 0, ...(search ? { search } : { sort: "newest" as const }) }), placeholderData: keepPreviousData });
  const context: CommandContext = { queryClient: useQueryClient(), mayEdit: useMay("editor"), mayDeploy: useMay("operator") };
  const pages = usePages();
  // Tracks arrive after the letters; until then those of before are shown that match, and Enter opens the first.
  const typed = text.trim().toLowerCase();
  const isOld = isStale || search.toLowerCase() !== typed;
  const tracks = (found?.items ?? []).filter(({ title, artist }) => !isOld || `${title} ${artist ?? ""}`.toLowerCase().includes(typed));
  const first = tracks[0]?.id;
  useEffect(() => setChosen(first ?? ""), [first, search]);
  const matches = (value: string) => value.toLowerCase().includes(search.toLowerCase());
  const run = (action: () => void) => {
    onClose();
    // The dialog gives the focus back first, so that what opens next can take it.
    setTimeout(action);
  };
  const commands = COMMANDS.filter((command) => isPossible(command, context) && matches(shortcuts.page[command]));
  const themes = THEMES.filter((theme) => search !== "" && matches(t.themes[theme]));
  return (
    <Command.Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      label={t.title}
      shouldFilter={false}
      value={chosen}
      onValueChange={setChosen}
      loop
      overlayClassName="fade-in fixed inset-0 z-40 bg-scrim"
      contentClassName="fade-in fixed top-[12dvh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border border-line bg-panel shadow-float"
    >
      <Command.Input
        value={text}
        onValueChange={setText}
        placeholder={t.placeholder}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-lg outline-none placeholder:text-muted"
      />
      <Command.List className="max-h-[60dvh] overflow-auto py-1">
        <Command.Empty className="px-4 py-8 text-center text-muted">{t.none}</Command.Empty>
        {tracks.length > 0 && (
          <Command.Group heading={t.groups.tracks} className={GROUP}>
            {tracks.map((track) => (
              <Line key={track.id} value={track.id} icon={<AudioLines size={14} aria-hidden />} onSelect={() => run(() => navigate(`/tracks/${track.id}`))}>
                <span className="truncate">{track.title}</span>
                <span className="truncate text-muted">{track.artist || library.noArtist}</span>
                <span className="ml-auto shrink-0 text-xs text-muted">{track.duration_ms == null ? "" : formatDuration(track.duration_ms)}</span>
              </Line>
            ))}
          </Command.Group>
        )}
        {commands.length > 0 && (
          <Command.Group heading={t.groups.commands} className={GROUP}>
            {commands.map((command) => (
              <Line key={command} value={command} icon={<ChevronRight size={14} aria-hidden />} onSelect={() => run(() => runCommand(command, context))}>
                {shortcuts.page[command]}
                <span className="ml-auto flex gap-1">{nameKeys(PAGE_KEYS[command], isMac()).map((key) => <Kbd key={key}>{key}</Kbd>)}</span>
              </Line>
            ))}
          </Command.Group>
        )}
        <Command.Group heading={t.groups.pages} className={GROUP}>
          {pages.filter(({ label }) => matches(label)).map(({ to, label }) => (
            <Line key={to} value={to} icon={<ChevronRight size={14} aria-hidden />} onSelect={() => run(() => navigate(to))}>{label}</Line>
          ))}
        </Command.Group>
        {themes.length > 0 && (
          <Command.Group heading={t.groups.theme} className={GROUP}>
            {themes.map((theme) => (
              <Line key={theme} value={`theme-${theme}`} icon={<SunMoon size={14} aria-hidden />} onSelect={() => run(() => chooseTheme(theme))}>{t.themes[theme]}</Line>
            ))}
          </Command.Group>
        )}
      </Command.List>
    </Command.Dialog>
  );
}

function usePages(): { to: string; label: string }[] {
  const hasAccount = useUser().id !== "local";
  const isAdmin = useMay("admin");
  return [
    { to: "/tracks", label: texts.app.library },
    { to: "/devices", label: texts.app.devices },
    { to: "/deployments", label: texts.app.deployments },
    { to: "/alarms", label: texts.app.alarms },
    { to: "/fleet", label: texts.app.fleet },
    { to: "/activity", label: texts.app.activity },
    ...(hasAccount ? [{ to: "/profile", label: texts.app.profile }] : []),
    ...(hasAccount && isAdmin ? [{ to: "/users", label: texts.app.users }] : []),
  ];
}

function Line({ value, icon, onSelect, children }: { value: string; icon: ReactNode; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="touch-target flex h-9 cursor-default items-center gap-2 rounded px-2 text-sm data-[selected=true]:bg-hover"
    >
      <span className="text-muted">{icon}</span>
      {children}
    </Command.Item>
  );
}
