// Data and libraries that the page contains deflated, in base64.
function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // Browsers from 2025 on; a tenth of the time.
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index++) bytes[index] = letters.charCodeAt(index); // Twice as fast as from().
  return bytes;
}
async function inflated(id, type) {
  const bytes = decoded(document.getElementById(id).textContent);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream, { headers: { "Content-Type": type } }).blob();
}
async function packedJson(id) {
  return JSON.parse(await (await inflated(id, "application/json")).text());
}
async function runPacked(id) {
  const src = URL.createObjectURL(await inflated(id, "text/javascript"));
  await new Promise((resolve, reject) => document.head.append(make("script", { src, onload: resolve, onerror: reject })));
  URL.revokeObjectURL(src);
}
