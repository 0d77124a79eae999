import { describe, expect, it } from "vitest";
import { nameBrowser } from "./browsers";

describe("the name of a browser", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome, Linux"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1", "Safari, iOS"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, macOS"],
    ["python-httpx/0.28.1", "python-httpx/0.28.1"],
  ])("of %s is %s", (userAgent, name) => {
    expect(nameBrowser(userAgent)).toBe(name);
  });

  it("is unknown where the program says nothing", () => {
    expect(nameBrowser(null)).toBeUndefined();
    expect(nameBrowser("")).toBeUndefined();
  });
});
