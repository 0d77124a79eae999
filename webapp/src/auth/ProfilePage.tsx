import { texts } from "../texts";

export default function ProfilePage() {
  return <h1 className="p-4 text-xl font-semibold">{texts.app.profile}</h1>;
}
