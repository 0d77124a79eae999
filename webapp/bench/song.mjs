/** Makes a WAV of a drum loop; each seed gives another song. */
export function makeSong(seed, seconds = 30, rate = 44_100) {
  const samples = seconds * rate;
  const wav = Buffer.alloc(44 + samples * 2);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + samples * 2, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(samples * 2, 40);
  const beat = Math.round((60 / (100 + (seed % 60))) * rate);
  for (let index = 0; index < samples; index++) {
    const since = (index % beat) / rate;
    const kick = Math.sin(2 * Math.PI * 55 * since) * Math.exp(-since / 0.06);
    const tone = 0.1 * Math.sin((2 * Math.PI * (110 + (seed % 97)) * index) / rate);
    wav.writeInt16LE(Math.round(24_000 * (0.7 * kick + tone)), 44 + index * 2);
  }
  return wav;
}
