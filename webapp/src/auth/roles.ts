import type { Role } from "../api/types";

/** The roles from the least to the most. */
export const ROLES: readonly Role[] = ["viewer", "editor", "operator", "admin"];

/** Returns the roles that a person of a role may give to a key. */
export function rolesUpTo(role: Role): readonly Role[] {
  return ROLES.slice(0, ROLES.indexOf(role) + 1);
}
