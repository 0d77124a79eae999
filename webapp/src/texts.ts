/** Every text that a person reads, by area. Texts of one area are in `texts/<area>.ts`. */
import { app } from "./texts/app";
import { auth } from "./texts/auth";
import { common } from "./texts/common";
import { errors } from "./texts/errors";
import { library } from "./texts/library";
import { track } from "./texts/track";

export const texts = { app, auth, common, errors, library, track } as const;
