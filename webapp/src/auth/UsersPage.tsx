import { texts } from "../texts";

export default function UsersPage() {
  return <h1 className="p-4 text-xl font-semibold">{texts.app.users}</h1>;
}
