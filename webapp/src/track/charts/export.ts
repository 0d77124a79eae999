/** Hands pictures and texts of charts to the browser. */

/** Let the browser save data as a file. */
export function saveFile(name: string, data: Blob): void {
  const address = URL.createObjectURL(data);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Save a canvas as a picture, on the background that it has on the page. */
export function savePicture(name: string, canvas: HTMLCanvasElement, background: string): void {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  if (context === null) return;
  context.fillStyle = background;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  copy.toBlob((data) => {
    if (data !== null) saveFile(name, data);
  }, "image/png");
}
