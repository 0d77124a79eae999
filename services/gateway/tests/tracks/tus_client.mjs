// Uploads a file with tus-js-client: aborts after the first pieces, then resumes. Prints what it learnt as JSON.
import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import { FileUrlStorage, Upload } from "tus-js-client";

const [endpoint, file] = process.argv.slice(2);
const storage = new FileUrlStorage(path.join(path.dirname(file), "urls.json"));
let creations = 0;

const upload = (hooks) =>
  new Upload(createReadStream(file), {
    endpoint,
    urlStorage: storage,
    chunkSize: 60_000,
    uploadSize: statSync(file).size,
    metadata: { filename: "song.wav", title: "From a page" },
    retryDelays: [],
    onBeforeRequest: (request) => {
      if (request.getMethod() === "POST") creations += 1;
    },
    ...hooks,
  });

const abortedUrl = await new Promise((resolve, reject) => {
  const first = upload({
    onError: reject,
    onChunkComplete: () => first.abort().then(() => resolve(first.url)),
  });
  first.start();
});

let resumedAt = null;
await new Promise((resolve, reject) => {
  const second = upload({
    uploadUrl: abortedUrl,
    onError: reject,
    onAfterResponse: (request, response) => {
      if (request.getMethod() === "HEAD") resumedAt = Number(response.getHeader("Upload-Offset"));
    },
    onSuccess: ({ lastResponse }) => {
      const track = lastResponse.getHeader("K1-Track-Id");
      const status = lastResponse.getHeader("K1-Upload-Status");
      console.log(JSON.stringify({ track, status, resumedAt, creations }));
      resolve();
    },
  });
  second.start();
});
