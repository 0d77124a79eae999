import { texts } from "../texts";

export default function DeploymentsPage() {
  return <h1 className="p-4 text-xl font-semibold">{texts.app.devices}</h1>;
}
