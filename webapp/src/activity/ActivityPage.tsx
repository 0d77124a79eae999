import { texts } from "../texts";

export default function ActivityPage() {
  return <h1 className="p-4 text-xl font-semibold">{texts.app.activity}</h1>;
}
