import { FileAudio } from "lucide-react";
import { useEffect, useRef, useState, type ComponentType } from "react";
import { useMay } from "../api/useSession";
import { useLive } from "../live/useLive";
import { uploadTexts as t } from "../texts/upload";
import { onOpenUpload } from "./openUpload";
import { warmUp } from "./precheck";
import { addFiles, noteEvent, useQueue } from "./uploads";

const loadPanel = () => import("./UploadPanel");
const ACCEPTED = "audio/*,.mp3,.mp2,.wav,.flac,.ogg,.oga,.opus,.m4a,.aif,.aiff";

/** The part of uploading that lies over every page: files dropped anywhere, and the queue with its progress. */
export function UploadHost() {
  const mayUpload = useMay("editor");
  const input = useRef<HTMLInputElement>(null);
  const queue = useQueue();
  const isEmpty = queue.length === 0;
  const Panel = usePanel(!isEmpty);
  useLeaveWarning(queue.some(({ phase }) => phase === "waiting" || phase === "sending"));
  const isOver = useFileDrop(mayUpload);
  useLive("jobs", noteEvent);
  useEffect(() => onOpenUpload(() => {
    prepare();
    input.current?.click();
  }), []);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        accept={ACCEPTED}
        onChange={({ target }) => {
          addFiles(target.files ?? []);
          target.value = "";
        }}
      />
      {isOver && <DropOverlay mayUpload={mayUpload} />}
      {!isEmpty && Panel && <Panel />}
    </>
  );
}

function DropOverlay({ mayUpload }: { mayUpload: boolean }) {
  return (
    <div className="fade-in pointer-events-none fixed inset-0 z-50 bg-scrim p-4">
      <div className="flex h-full flex-col items-center justify-center gap-3 rounded-lg border-2 border-dashed border-accent bg-panel/80 text-center">
        <FileAudio size={40} className="text-accent" aria-hidden />
        <p className="text-xl font-semibold">{mayUpload ? t.dropTitle : t.dropNotAllowed}</p>
        {mayUpload && <p className="max-w-md px-4 text-sm text-soft">{t.dropText}</p>}
      </div>
    </div>
  );
}

/** Returns the panel once it is loaded. Not by Suspense, which would hold it back for 300 ms. */
function usePanel(isNeeded: boolean): ComponentType | undefined {
  const [panel, setPanel] = useState<ComponentType>();
  useEffect(() => {
    if (isNeeded) void loadPanel().then((module) => setPanel(() => module.default));
  }, [isNeeded]);
  return panel;
}

/** Loads what is needed as soon as files are chosen or held over the page. */
function prepare(): void {
  warmUp();
  void loadPanel();
}

/** Asks before the page is left while files are on their way. */
function useLeaveWarning(isSending: boolean): void {
  useEffect(() => {
    if (!isSending) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isSending]);
}

/** Takes files dropped anywhere on the page; returns whether some are held over it. */
function useFileDrop(mayUpload: boolean): boolean {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    // Entering a child fires before leaving its parent, so the depth is counted.
    let depth = 0;
    const hold = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (event.type === "dragenter") {
        if (depth === 0) prepare();
        depth++;
      }
      setIsOver(true);
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) setIsOver(false);
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setIsOver(false);
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (mayUpload) addFiles(event.dataTransfer.files);
    };
    addEventListener("dragenter", hold);
    addEventListener("dragover", hold);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", hold);
      removeEventListener("dragover", hold);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, [mayUpload]);
  return isOver;
}
