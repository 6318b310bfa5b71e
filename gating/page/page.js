// What a page holds is drawn with `charts.js`.
const packed = Uint8Array.from(atob(page.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
const data = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
for (const figure of data.figures) new Chart(page.getElementById(`figure-${figure.name}`), figure);
page.querySelectorAll("table.results").forEach(lively);
const parquet = page.getElementById("parquet");
if (!data.parquet) parquet.remove();
parquet.addEventListener("click", () => {
  save(Uint8Array.from(atob(data.parquet), (letter) => letter.charCodeAt(0)), "summary.parquet", "application/vnd.apache.parquet");
});
