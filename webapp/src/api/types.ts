import type { components } from "./schema";

/** Every schema of the API by name: `Schemas["TrackSummary"]`. */
export type Schemas = components["schemas"];

export type TrackSummary = Schemas["TrackSummary"];
export type TrackDetail = Schemas["TrackDetail"];
export type TrackStatus = Schemas["TrackStatus"];
export type Preset = Schemas["Preset"];
export type JobView = Schemas["JobView"];
export type JobProgress = Schemas["JobProgress"];
export type User = Schemas["UserView"];
export type Role = User["role"];
export type FeedEvent = Schemas["FeedEvent"];
