// @vitest-environment node
import { describe, expect, it } from "vitest";
import { plainConditions, plainReason } from "./reasons";

describe("the reason of an alarm", () => {
  it.each([
    ["temp_c > 80", "Temperature above 80 °C"],
    ["temp_c <= 75 for 2s", "Temperature at most 75 °C for 2 s"],
    ["drift_ms > 100 for 5s", "Drift above 100 ms for 5 s"],
    ["fps < 24 for 5s", "Frame rate below 24 fps for 5 s"],
    ["fps >= 27 for 2s", "Frame rate at least 27 fps for 2 s"],
    ["silent for 5s", "Silent for 5 s"],
    ["the device is offline", "The device is offline"],
    ["", ""],
  ])("%s is shown as %s", (raw, plain) => expect(plainReason(raw)).toBe(plain));

  it("is plain in the reason of a deployment as well, which stays as it is otherwise", () => {
    expect(plainConditions("k1-01: drift_ms > 100 for 5s; k1-02: no reply")).toBe("k1-01: drift above 100 ms for 5 s; k1-02: no reply");
    expect(plainConditions("its fps was measured")).toBe("its fps was measured");
  });
});
