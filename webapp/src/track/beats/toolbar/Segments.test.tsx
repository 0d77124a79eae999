import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { Segments } from "./Segments";

const OPTIONS = [
  { id: "all", label: "All" },
  { id: "from", label: "From here", disabled: true },
  { id: "selection", label: "Selection" },
] as const;

it("is one stop of the Tab key, and arrow keys choose what is possible", async () => {
  const select = vi.fn();
  render(<Segments label="Applies to" options={OPTIONS} selected="all" onSelect={select} />);
  await userEvent.tab();
  expect(screen.getByRole("radio", { name: "All" })).toHaveFocus();
  await userEvent.keyboard("{ArrowRight}");
  expect(select).toHaveBeenLastCalledWith("selection");
  await userEvent.tab();
  expect(document.body).toHaveFocus();
});

it("leaves the arrow keys to the song after a click", async () => {
  const select = vi.fn();
  render(<Segments label="Applies to" options={OPTIONS} selected="all" onSelect={select} />);
  await userEvent.click(screen.getByRole("radio", { name: "Selection" }));
  expect(select).toHaveBeenCalledWith("selection");
  expect(document.body).toHaveFocus();
});
