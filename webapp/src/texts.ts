/** Every text that a person reads, by area, but those of parts that are loaded lazily: they import `texts/<area>`. */
import { app } from "./texts/app";
import { auth } from "./texts/auth";
import { common } from "./texts/common";
import { errors } from "./texts/errors";
import { library } from "./texts/library";

export const texts = { app, auth, common, errors, library } as const;
