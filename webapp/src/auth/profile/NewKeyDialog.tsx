import { Check, Copy } from "lucide-react";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "../../api/client";
import { useUser } from "../../api/useSession";
import { account } from "../../texts/account";
import { common } from "../../texts/common";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { toastError } from "../../ui/toast";
import { Notice } from "../AuthFrame";
import { rolesUpTo } from "../roles";
import { useAction } from "../useAction";

const t = account.keys;
const DAYS = [30, 90, 365, 0] as const;
const FORM = "new-key";

/** Makes an API key, and shows its secret once. */
export function NewKeyDialog({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const user = useUser();
  const action = useAction();
  const [secret, setSecret] = useState<string>();
  const create = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = {
      name: String(form.get("name")),
      role: rolesUpTo(user.role).find((role) => role === form.get("role")) ?? "viewer",
      expires_in_days: Number(form.get("days")) || null,
    };
    action.run(async () => {
      setSecret((await unwrap(api.POST("/me/keys", { body }))).secret);
      onCreated();
    });
  };
  if (secret !== undefined) return <SecretDialog secret={secret} onClose={onClose} />;
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={t.create}
      description={t.text}
      footer={<><Button onClick={onClose}>{common.cancel}</Button><Button type="submit" form={FORM} tone="primary" busy={action.busy}>{t.create}</Button></>}
    >
      <form id={FORM} onSubmit={create} className="flex flex-col gap-3">
        <TextField label={t.name} name="name" required maxLength={100} autoFocus autoComplete="off" hint={t.nameHint} />
        <SelectField label={account.role} name="role" defaultValue="viewer">
          {rolesUpTo(user.role).map((role) => <option key={role} value={role}>{account.roles[role]}: {account.roleHints[role]}</option>)}
        </SelectField>
        <SelectField label={t.expires} name="days" defaultValue={90}>
          {DAYS.map((days) => <option key={days} value={days}>{t.expiries[days]}</option>)}
        </SelectField>
        {action.error && <Notice kind="error">{action.error}</Notice>}
      </form>
    </Dialog>
  );
}

function SecretDialog({ secret, onClose }: { secret: string; onClose: () => void }) {
  const [isCopied, setCopied] = useState(false);
  const copy = () => {
    // Outside secure contexts there is no clipboard; then the selected text is copied by hand.
    (navigator.clipboard ? navigator.clipboard.writeText(secret) : Promise.reject(new Error(t.secretText))).then(() => setCopied(true), toastError);
  };
  return (
    <Dialog open onOpenChange={onClose} title={t.secretTitle} description={t.secretText} footer={<Button onClick={onClose}>{t.secretKept}</Button>}>
      <div className="flex items-end gap-2">
        <div className="min-w-0 flex-1">
          <TextField label={t.secretLabel} value={secret} readOnly autoFocus className="font-mono" onFocus={(event) => event.target.select()} />
        </div>
        <Button tone="primary" icon={isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />} onClick={copy}>{isCopied ? common.copied : common.copy}</Button>
      </div>
    </Dialog>
  );
}
