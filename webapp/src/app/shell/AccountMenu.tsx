import { BookOpen, KeyRound, Keyboard, LogOut, UserRound, Users } from "lucide-react";
import { api } from "../../api/client";
import { endSession } from "../../api/session";
import { useMay, useUser } from "../../api/useSession";
import { texts } from "../../texts";
import { IconButton } from "../../ui/Button";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "../../ui/Menu";
import { toastError } from "../../ui/toast";
import { navigate } from "../router";
import { showHelp } from "../shortcuts/runCommand";
import { chooseTheme, useTheme, type Theme } from "../theme";

const t = texts.app;
const THEMES: readonly Theme[] = ["dark", "light", "system"];

/** Who is signed in, and what concerns the person: profile, theme, signing out. */
export function AccountMenu() {
  const user = useUser();
  const isAdmin = useMay("admin");
  const theme = useTheme();
  const hasAccount = user.id !== "local";
  return (
    <Menu
      trigger={
        <IconButton label={t.account}>
          <span className="flex size-7 items-center justify-center rounded-full bg-hover text-xs font-semibold text-soft uppercase">
            {user.name.slice(0, 1) || <UserRound size={14} aria-hidden />}
          </span>
        </IconButton>
      }
    >
      <MenuLabel>{t.signedInAs(user.name)}</MenuLabel>
      {hasAccount && <MenuItem icon={<KeyRound size={14} aria-hidden />} onSelect={() => navigate("/profile")}>{t.profile}</MenuItem>}
      {isAdmin && hasAccount && <MenuItem icon={<Users size={14} aria-hidden />} onSelect={() => navigate("/users")}>{t.users}</MenuItem>}
      <MenuItem icon={<BookOpen size={14} aria-hidden />} onSelect={() => window.open("/docs", "_blank", "noopener")}>{t.apiDocs}</MenuItem>
      <MenuItem icon={<Keyboard size={14} aria-hidden />} hint="?" onSelect={() => setTimeout(showHelp)}>{t.shortcuts}</MenuItem>
      <MenuSeparator />
      <MenuLabel>{t.theme}</MenuLabel>
      {THEMES.map((each) => (
        <MenuItem key={each} checked={each === theme} onSelect={() => chooseTheme(each)}>{t.themes[each]}</MenuItem>
      ))}
      {hasAccount && <MenuSeparator />}
      {hasAccount && <MenuItem icon={<LogOut size={14} aria-hidden />} onSelect={() => void signOut()}>{t.signOut}</MenuItem>}
    </Menu>
  );
}

async function signOut(): Promise<void> {
  try {
    await api.POST("/auth/logout", { body: {} });
    endSession("none");
  } catch (error) {
    toastError(error);
  }
}
