import { Minus, Plus, RotateCcw } from "lucide-react";
import { useState } from "react";
import { graph as t } from "../../../texts/track/graph";
import { IconButton, SelectField, Switch, TextField } from "../../../ui";
import { sameValue } from "../model/diff";
import type { NodeParam, Value } from "../model/document";
import { fromHex, fromPlace, parseNumber, parseNumbers, rangeOf, showValue, toHex, toPlace } from "../model/ranges";

export interface ParamControlProps {
  param: NodeParam;
  value: Value;
  /** The recommended value; undefined where the node is not in the recommendation. */
  recommended: Value | undefined;
  disabled: boolean;
  /** A step is finished when the value is let go. */
  onChange: (value: Value) => void;
  onFinish: () => void;
}

/** The control of one parameter, with the range that its type declares. */
export function ParamControl(props: ParamControlProps) {
  const { param, value, recommended, disabled, onChange } = props;
  const differs = recommended !== undefined && !sameValue(recommended, value);
  return (
    <div className="flex items-start gap-1 py-1.5" onBlur={props.onFinish}>
      <div className="min-w-0 flex-1">
        <Control {...props} />
        <p className="mt-0.5 text-2xs text-muted">
          {param.about}
          {rangeText(param) !== "" && <span className="text-soft"> · {rangeText(param)}</span>}
        </p>
      </div>
      {differs && !disabled && (
        <IconButton size="sm" label={t.node.toRecommended(param.name, showValue(recommended))} onClick={() => onChange(recommended)}>
          <RotateCcw size={13} aria-hidden />
        </IconButton>
      )}
    </div>
  );
}

function Control({ param, value, disabled, onChange, onFinish }: ParamControlProps) {
  if (param.choices.length > 0) {
    return (
      <SelectField label={param.name} value={String(value)} disabled={disabled} onChange={(event) => onChange(event.target.value)}>
        {param.choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </SelectField>
    );
  }
  if (param.kind === "bool") return <Switch label={param.name} checked={value === true} disabled={disabled} onChange={onChange} />;
  if (param.kind === "color") return <Colours param={param} colours={[value]} disabled={disabled} onChange={([colour]) => onChange(colour)} />;
  if (param.kind === "colors") {
    return <Colours param={param} colours={Array.isArray(value) ? (value as Value[]) : []} disabled={disabled} onChange={onChange} />;
  }
  if (param.kind === "ints") {
    const error = t.node.listOutOfRange(param.min_items, param.max_items);
    return <Typed param={param} value={value} disabled={disabled} error={error} parse={(text) => parseNumbers(param, text)} onChange={onChange} />;
  }
  if (param.kind === "string") {
    return <TextField label={param.name} value={String(value)} maxLength={64} disabled={disabled} onChange={(event) => onChange(event.target.value)} />;
  }
  return <NumberControl param={param} value={value} disabled={disabled} onChange={onChange} onFinish={onFinish} />;
}

type Shared = Pick<ParamControlProps, "param" | "value" | "disabled" | "onChange">;

function NumberControl({ param, value, disabled, onChange, onFinish }: Shared & { onFinish: () => void }) {
  const range = rangeOf(param);
  const isWhole = param.kind === "int";
  const text = isWhole ? t.node.wholeOutOfRange : t.node.outOfRange;
  const error = text(bound(param.min), bound(param.max), param.unit);
  return (
    <div className="flex items-end gap-2">
      {range && (
        <input
          type="range"
          min={0}
          max={1}
          step={isWhole ? 1 / (range.max - range.min) : 0.002}
          value={toPlace(range, Number(value))}
          disabled={disabled}
          aria-label={t.node.slider(param.name)}
          aria-valuetext={`${showValue(value)} ${param.unit}`}
          onChange={(event) => onChange(fromPlace(range, Number(event.target.value), isWhole))}
          onPointerUp={onFinish}
          className="touch-target order-2 h-8 min-w-0 flex-1 accent-(--k1-accent-solid)"
        />
      )}
      <div className={range ? "w-28 shrink-0" : "flex-1"}>
        <Typed param={param} value={value} disabled={disabled} error={error} parse={(typed) => parseNumber(param, typed)} onChange={onChange} />
      </div>
    </div>
  );
}

/** A field whose text becomes a value as soon as it is a valid one. */
function Typed({ param, value, disabled, onChange, error, parse }: Shared & { error: string; parse: (text: string) => Value | null }) {
  const [typed, setTyped] = useState<string | null>(null);
  const isWrong = typed !== null && parse(typed) === null;
  return (
    <TextField
      label={param.unit === "" ? param.name : `${param.name} (${param.unit})`}
      inputMode={param.kind === "ints" ? "text" : "decimal"}
      value={typed ?? showValue(value)}
      error={isWrong ? error : undefined}
      disabled={disabled}
      onChange={(event) => {
        setTyped(event.target.value);
        const parsed = parse(event.target.value);
        if (parsed !== null) onChange(parsed);
      }}
      onBlur={() => setTyped(null)}
    />
  );
}

interface ColoursProps {
  param: NodeParam;
  colours: readonly Value[];
  disabled: boolean;
  onChange: (colours: Value[]) => void;
}

function Colours({ param, colours, disabled, onChange }: ColoursProps) {
  const isList = param.kind === "colors";
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 text-xs font-medium text-soft">{param.name}</legend>
      <div className="flex flex-wrap items-center gap-1">
        {colours.map((colour, index) => (
          <input
            key={index}
            type="color"
            value={toHex(colour)}
            disabled={disabled}
            aria-label={t.node.colour(param.name, index + 1)}
            title={toHex(colour)}
            onChange={(event) => onChange(colours.map((each, at) => (at === index ? fromHex(event.target.value) : each)))}
            className="touch-target size-7 rounded border border-line bg-bg p-0.5"
          />
        ))}
        {isList && !disabled && colours.length < param.max_items && (
          <IconButton size="sm" label={t.node.addColour} onClick={() => onChange([...colours, colours[colours.length - 1] ?? [1, 1, 1]])}>
            <Plus size={13} aria-hidden />
          </IconButton>
        )}
        {isList && !disabled && colours.length > param.min_items && (
          <IconButton size="sm" label={t.node.removeColour} onClick={() => onChange(colours.slice(0, -1))}>
            <Minus size={13} aria-hidden />
          </IconButton>
        )}
      </div>
    </fieldset>
  );
}

function rangeText({ kind, min, max, unit }: NodeParam): string {
  if (kind.startsWith("color") || min == null || max == null) return "";
  return t.node.range(bound(min), bound(max), unit);
}

function bound(value: number | null | undefined): string {
  return value == null ? "" : Math.abs(value) >= 1e6 ? value.toExponential(0).replace("+", "") : String(value);
}
