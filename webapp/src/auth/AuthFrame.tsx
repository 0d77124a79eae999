import type { ReactNode } from "react";
import { Link } from "../app/router";
import { texts } from "../texts";

/** The frame of the pages for people who are not signed in. */
export function AuthFrame({ title, text, children }: { title: string; text?: string; children: ReactNode }) {
  return (
    <main className="flex h-full items-start justify-center overflow-auto p-4 md:items-center">
      <div className="w-full max-w-sm py-8">
        <div className="mb-6 flex items-center gap-2.5">
          <img src="/icon.svg" alt="" width={28} height={28} />
          <span className="text-base font-semibold tracking-tight">{texts.common.productName}</span>
        </div>
        <div className="rounded-lg border border-line bg-panel p-5 shadow-float">
          <h1 className="text-xl font-semibold">{title}</h1>
          {text && <p className="mt-1 text-sm text-muted">{text}</p>}
          <div className="mt-4">{children}</div>
        </div>
      </div>
    </main>
  );
}

/** The way back from a side page. */
export function BackToSignIn() {
  return (
    <Link to="/sign-in" className="touch-target inline-flex items-center text-sm text-accent hover:underline">
      {texts.auth.backToSignIn}
    </Link>
  );
}

/** A sentence about what happened: an error is read at once, news politely. */
export function Notice({ kind, children }: { kind: "error" | "news"; children: ReactNode }) {
  return kind === "error" ? (
    <p role="alert" className="rounded border border-transparent bg-danger-soft px-3 py-2 text-sm text-danger">{children}</p>
  ) : (
    <p role="status" className="rounded border border-transparent bg-accent-soft px-3 py-2 text-sm text-accent">{children}</p>
  );
}
