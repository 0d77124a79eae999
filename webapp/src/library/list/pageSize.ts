/** So many tracks are asked for at once. */
export const PAGE_SIZE = 100;
