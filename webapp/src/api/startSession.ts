import { api, unwrap } from "./client";
import { endSession, hasHint, setSession } from "./session";
import type { User } from "./types";

/** Finds out who is signed in, once at the start of the page. Throws ApiError where nothing answers. */
export async function startSession(): Promise<void> {
  if (hasHint() || new URLSearchParams(location.search).has("oauth")) {
    const { data, response } = await api.GET("/me");
    if (data) setSession({ kind: "signed_in", user: data });
    else if (response.status === 401) endSession("expired");
    else await unwrap(Promise.resolve({ response, error: undefined }));
    return;
  }
  // Without a sign-in in this browser: the gateway may need none at all.
  const health = await unwrap(api.GET("/health"));
  if (health.sign_in === "off") setSession({ kind: "signed_in", user: LOCAL });
  else endSession("none");
}

/** Who acts where sign-in is off (`K1_AUTH=off`). */
const LOCAL: User = {
  id: "local",
  email: "",
  name: "local",
  role: "admin",
  email_verified: true,
  disabled: false,
  has_password: false,
  providers: [],
  skill_level: "intermediate",
  locale: "en",
  created_at: "",
  updated_at: "",
};
