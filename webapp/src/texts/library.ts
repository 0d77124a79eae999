export const library = {
  title: "Tracks",
  empty: "No tracks yet. Drop audio here.",
};
