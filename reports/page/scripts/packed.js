// Data and libraries that the page contains deflated, in base64.
async function inflated(id, type) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
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
