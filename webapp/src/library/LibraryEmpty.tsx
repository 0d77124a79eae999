import { AudioLines, SearchX } from "lucide-react";
import { setSearch } from "../app/router";
import { texts } from "../texts";
import { library as t } from "../texts/library";
import { Button } from "../ui/Button";
import { Empty } from "../ui/states";
import { openUpload } from "../upload/openUpload";
import { NO_FILTERS, writeFilters } from "./filters";

/** What stands in the place of an empty list. */
export function LibraryEmpty({ showsAll, mayEdit }: { showsAll: boolean; mayEdit: boolean }) {
  if (!showsAll) {
    const clear = <Button onClick={() => setSearch(writeFilters(NO_FILTERS))}>{t.clearFilters}</Button>;
    return <Empty icon={<SearchX size={28} />} title={t.noMatch} text={t.noMatchText} action={clear} />;
  }
  if (!mayEdit) return <Empty icon={<AudioLines size={28} />} title={t.emptyViewer} text={t.emptyViewerText} />;
  const upload = <Button tone="primary" onClick={openUpload}>{texts.app.upload}</Button>;
  return <Empty icon={<AudioLines size={28} />} title={t.empty} text={t.emptyText} action={upload} />;
}
