// Prints what the official AsyncAPI parser has to say of a document, as a JSON list; empty when it has nothing to say.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, file] = process.argv.slice(2);
const { Parser } = createRequire(`${modules}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const found = diagnostics.map(({ code, message, path }) => `${path.join("/")}: ${message} (${code})`);
console.log(JSON.stringify(document ? found : [...found, "there is no document"]));
