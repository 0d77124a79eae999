/** The part of uploading that lies over every page: files dropped anywhere, and the queue with its progress. */
export function UploadHost() {
  return null;
}
