export const devicesTexts = {
  area: "Fleet",
  title: "Devices",
  online: "Online",
  offline: "Offline",
} as const;
