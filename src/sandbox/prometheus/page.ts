/** The page at `/`: a query box and its answer, without anything from elsewhere. */
export const QUERY_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Prometheus (Sluice sandbox)</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color-scheme: light dark; }
  textarea { font: 14px ui-monospace, monospace; width: 100%; box-sizing: border-box; }
  table { border-collapse: collapse; margin-top: 1rem; width: 100%; }
  td { border-top: 1px solid #8884; padding: .3rem .5rem; font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
  td:last-child { text-align: right; white-space: nowrap; }
  #note { margin-top: 1rem; }
</style>
<h1>Prometheus of the Sluice sandbox</h1>
<form id="form">
  <label for="query">PromQL expression</label>
  <textarea id="query" rows="3" autofocus>sum by (destination_workload) (rate(istio_requests_total[1m]))</textarea>
  <button>Execute</button> <a href="/api/v1/targets">targets</a> <a href="/api/v1/label/__name__/values">metrics</a>
</form>
<p id="note" role="status"></p>
<table id="result"></table>
<script>
  const byId = (id) => document.getElementById(id);
  const name = (metric) => {
    const { __name__: metricName = '', ...labels } = metric;
    const pairs = Object.entries(labels).map(([key, value]) => key + '=' + JSON.stringify(value));
    return metricName + '{' + pairs.join(', ') + '}';
  };
  const cell = (row, text) => { row.insertCell().textContent = text; };
  byId('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const table = byId('result');
    table.replaceChildren();
    try {
      const response = await fetch('/api/v1/query', { method: 'POST', body: new URLSearchParams({ query: byId('query').value }) });
      const answer = await response.json();
      if (answer.status !== 'success') { byId('note').textContent = answer.error; return; }
      const { resultType, result } = answer.data;
      const rows = resultType === 'scalar' || resultType === 'string' ? [{ metric: {}, value: result }] : result;
      byId('note').textContent = rows.length + ' series, ' + resultType;
      for (const { metric, value, values } of rows) {
        const row = table.insertRow();
        cell(row, name(metric));
        cell(row, value ? value[1] : values.map((point) => point[1] + ' @' + point[0]).join('\\n'));
      }
    } catch (error) {
      byId('note').textContent = String(error);
    }
  });
</script>
</html>
`;
