import type { ReactNode } from "react";
import { cx } from "./cx";

export interface Column<Row> {
  id: string;
  title: string;
  /** Hides the title from sight, not from screen readers. */
  quiet?: boolean;
  /** Aligns numbers at their last digit. */
  numeric?: boolean;
  className?: string;
  cell: (row: Row) => ReactNode;
}

export interface TableProps<Row> {
  /** Names the table for screen readers. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  onRowClick?: (row: Row) => void;
}

/** A plain table for up to a few hundred rows. */
export function Table<Row>({ label, columns, rows, rowKey, onRowClick }: TableProps<Row>) {
  return (
    <div className="overflow-x-auto" tabIndex={0} role="group" aria-label={label}>
      <table className="w-full border-collapse text-sm">
        <thead>
          <tr className="text-left text-2xs text-muted">
            {columns.map((column) => (
              <th key={column.id} scope="col" className={cx("h-7 border-b border-line px-3 font-medium whitespace-nowrap", column.numeric && "text-right", column.className)}>
                {column.quiet ? <span className="sr-only">{column.title}</span> : column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              onClick={onRowClick && (() => onRowClick(row))}
              className={cx("border-b border-line last:border-0 hover:bg-raised", onRowClick && "cursor-pointer")}
            >
              {columns.map((column) => (
                <td key={column.id} className={cx("h-9 px-3", column.numeric && "text-right", column.className)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
