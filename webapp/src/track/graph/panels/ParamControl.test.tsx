import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test, vi } from "vitest";
import type { NodeParam, Value } from "../model/document";
import { ParamControl } from "./ParamControl";

const DECAY: NodeParam = {
  name: "decay_ms",
  kind: "float",
  default: 200,
  about: "time to fall",
  min: 10,
  max: 10_000,
  unit: "ms",
  choices: [],
  min_items: 0,
  max_items: 0,
};

function setUp(disabled = false) {
  const onChange = vi.fn<(value: Value) => void>();
  function Control() {
    const [value, setValue] = useState<Value>(300);
    const change = (next: Value): void => {
      onChange(next);
      setValue(next);
    };
    return <ParamControl param={DECAY} value={value} recommended={200} disabled={disabled} onChange={change} onFinish={() => undefined} />;
  }
  render(<Control />);
  return { onChange, field: screen.getByLabelText("decay_ms (ms)") };
}

test("a value outside the range is refused, with the range, and the last good one stays", async () => {
  const user = userEvent.setup();
  const { onChange, field } = setUp();
  await user.clear(field);
  await user.type(field, "5");
  expect(screen.getByRole("alert")).toHaveTextContent("Give a number from 10 to 10000 ms.");
  expect(onChange).not.toHaveBeenCalled();
  await user.type(field, "00");
  expect(onChange.mock.calls).toEqual([[50], [500]]);
  await user.clear(field);
  await user.tab();
  expect(field).toHaveValue("500");
});

test("the recommended value is one click away as long as it differs", async () => {
  const user = userEvent.setup();
  const { onChange } = setUp();
  await user.click(screen.getByRole("button", { name: "Set decay_ms back to the recommended 200" }));
  expect(onChange).toHaveBeenCalledWith(200);
  expect(screen.queryByRole("button")).toBeNull();
});

test("those who may not edit see the value and cannot change it", () => {
  const { field } = setUp(true);
  expect(field).toBeDisabled();
  expect(screen.queryByRole("button")).toBeNull();
});
