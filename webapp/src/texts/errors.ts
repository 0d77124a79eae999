export const errors = {
  unexpected: "Something unexpected happened. Try again; if it stays, tell support the trace id.",
  unreachable: "The gateway does not answer. Check the network, then try again.",
  away: "Not reachable at the moment",
  forbidden: "You may not do this",
  notFound: "Not found",
  conflict: "Somebody else changed this",
  tooMany: "Too many requests",
  server: "The server failed",
  refused: "This was refused",
  pageFailed: "This part of the page failed",
  needsRole: (role: string) => `This needs the role ${role}. Ask an administrator.`,
  trace: (id: string) => `Trace ${id}`,
};
