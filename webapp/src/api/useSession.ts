import { useSyncExternalStore } from "react";
import { onSessionChange, sessionState, type SessionState } from "./session";
import type { Role, User } from "./types";

/** Returns who is signed in. */
export function useSession(): SessionState {
  return useSyncExternalStore(onSessionChange, sessionState);
}

/** Returns the signed-in user. Only below the app shell, which is shown to nobody else. */
export function useUser(): User {
  const session = useSession();
  if (session.kind !== "signed_in") throw new Error("this part of the page needs a signed-in user");
  return session.user;
}

const RANK: Record<Role, number> = { viewer: 0, editor: 1, operator: 2, admin: 3 };

/** Returns whether the user may do what the role allows: upload and edit as editor, deploy as operator. */
export function useMay(least: Role): boolean {
  return RANK[useUser().role] >= RANK[least];
}
