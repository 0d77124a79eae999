import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { useMay } from "../../api/useSession";
import { part } from "../part";
import { pageCommandOf } from "./pageKeys";
import { isPossible, onShow, runCommand } from "./runCommand";
import { areShortcutsOn, isForPage } from "./settings";

const ShortcutsDialog = part(() => import("./ShortcutsDialog"));
export const CommandPalette = part(() => import("./CommandPalette"));

/** Listens to the keys of every page, and shows the shortcuts and the command palette over it. */
export function ShortcutHost() {
  const [open, setOpen] = useState<"help" | "palette">();
  const queryClient = useQueryClient();
  const mayEdit = useMay("editor");
  const mayDeploy = useMay("operator");

  useEffect(() => onShow(() => setOpen("help"), () => setOpen("palette")), []);
  useEffect(() => {
    const context = { queryClient, mayEdit, mayDeploy };
    const press = (event: KeyboardEvent) => {
      const command = pageCommandOf(event);
      // Ctrl K types nothing, so it works in fields too, and is no single key that a voice could press.
      const isAllowed = command === "palette" ? !document.querySelector("[role='dialog']") : areShortcutsOn() && isForPage(event);
      if (!command || !isAllowed || !isPossible(command, context)) return;
      event.preventDefault();
      runCommand(command, context);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [queryClient, mayEdit, mayDeploy]);

  const close = () => setOpen(undefined);
  return (
    <Suspense>
      {open === "help" && <ShortcutsDialog onClose={close} />}
      {open === "palette" && <CommandPalette onClose={close} />}
    </Suspense>
  );
}
