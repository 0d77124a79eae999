import { setSearch } from "../app/router";
import { library as t } from "../texts/library";
import { Button } from "../ui/Button";
import { SelectField, TextField } from "../ui/Field";
import { countFilters, NO_FILTERS, PRESETS, STATUSES, writeFilters, type Filters } from "./filters";

/** The filters of the list. */
export function FilterPanel({ filters }: { filters: Filters }) {
  const set = (name: string) => (event: { target: { value: string } }) => setSearch({ [name]: event.target.value });
  return (
    <div className="grid grid-cols-2 gap-2 px-2 pb-2 @2xl:grid-cols-[1fr_1fr_1fr_6rem_6rem_1fr]">
      <SelectField label={t.status} value={filters.status ?? ""} onChange={set("status")}>
        <option value="">{t.any}</option>
        {STATUSES.map((status) => <option key={status} value={status}>{t.statuses[status]}</option>)}
      </SelectField>
      <SelectField label={t.preset} value={filters.preset ?? ""} onChange={set("preset")}>
        <option value="">{t.any}</option>
        {PRESETS.map((preset) => <option key={preset} value={preset}>{t.presets[preset]}</option>)}
      </SelectField>
      <SelectField label={t.fMeasure} value={filters.fMeasure ?? ""} onChange={set("f")}>
        <option value="">{t.any}</option>
        <option value="low">{t.below}</option>
        <option value="high">{t.above}</option>
      </SelectField>
      <TextField label={t.minBpm} type="number" inputMode="decimal" min={0} max={1000} value={filters.minBpm ?? ""} onChange={set("from")} />
      <TextField label={t.maxBpm} type="number" inputMode="decimal" min={0} max={1000} value={filters.maxBpm ?? ""} onChange={set("to")} />
      <TextField label={t.tag} value={filters.tag ?? ""} maxLength={60} onChange={set("tag")} />
      {countFilters(filters) > 0 && (
        <Button size="sm" tone="ghost" className="col-span-full justify-self-start" onClick={() => setSearch(writeFilters({ ...NO_FILTERS, search: filters.search, sort: filters.sort }))}>
          {t.clearFilters}
        </Button>
      )}
    </div>
  );
}
