export interface Throttle<Item> {
  add: (item: Item) => void;
  stop: () => void;
}

/** Collects items and hands them on together, at once at first and then at most once in each interval. */
export function makeThrottle<Item>(interval_ms: number, flush: (items: readonly Item[]) => void): Throttle<Item> {
  const items = new Map<string, Item>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hand = () => {
    timer = undefined;
    if (items.size === 0) return;
    const handed = [...items.values()];
    items.clear();
    timer = setTimeout(hand, interval_ms);
    flush(handed);
  };
  return {
    add: (item) => {
      items.set(JSON.stringify(item), item);
      timer ??= setTimeout(hand, 0);
    },
    stop: () => {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
