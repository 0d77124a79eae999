import { useUser } from "../api/useSession";
import { navigate } from "../app/router";
import type { PageProps } from "../app/routes";
import { account } from "../texts/account";
import { panelId, tabId, Tabs } from "../ui/Tabs";
import { AccountSection } from "./profile/AccountSection";
import { KeysSection } from "./profile/KeysSection";
import { PasswordSection } from "./profile/PasswordSection";
import { SessionsSection } from "./profile/SessionsSection";

const t = account.profile;
const SECTIONS = ["account", "security", "keys"] as const;
type Section = (typeof SECTIONS)[number];

/** The own account: name and language, password and sessions, API keys. */
export default function ProfilePage({ fields }: PageProps) {
  const user = useUser();
  const section: Section = SECTIONS.find((each) => each === fields["section"]) ?? "account";
  return (
    <div className="flex h-full flex-col overflow-auto">
      <header className="mx-auto w-full max-w-3xl px-4 pt-6 pb-3">
        <h1 className="text-xl font-semibold">{t.title}</h1>
        <p className="text-sm text-muted">{user.email}</p>
      </header>
      <div className="mx-auto w-full max-w-3xl px-4">
        <Tabs
          label={t.title}
          tabs={SECTIONS.map((id) => ({ id, label: t.sections[id] }))}
          selected={section}
          onSelect={(id) => navigate(id === "account" ? "/profile" : `/profile/${id}`, { replace: true })}
        />
      </div>
      <div id={panelId(section)} role="tabpanel" aria-labelledby={tabId(section)} className="mx-auto flex w-full max-w-3xl flex-col gap-4 p-4">
        {section === "account" && <AccountSection />}
        {section === "security" && <PasswordSection />}
        {section === "security" && <SessionsSection />}
        {section === "keys" && <KeysSection />}
      </div>
    </div>
  );
}
