import { useEffect, useState } from "react";

/** Returns a value once it has not changed for a time: what follows a slider or a scroll bar asks once, and not each time. */
export function useSettled<Value>(value: Value, afterMs: number): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), afterMs);
    return () => clearTimeout(timer);
  }, [value, afterMs]);
  return settled;
}
