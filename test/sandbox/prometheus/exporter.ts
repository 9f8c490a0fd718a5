/** Bounds of the request duration histogram, as written by the exporter (Prometheus stores them as floats). */
const BOUNDS = [5, 10, 25, 50, 100, 250, 1000];
const POD_A_LEAVES_AT = 12;

/** Requests that a workload has answered at the given scrape; the canary's counter restarts half way. */
function requests(workload: string, code: string, scrape: number): number {
  const steps: Record<string, number> = { 'v1 200': 17, 'v1 503': 1, 'v2 200': 5.5, 'v2 500': 0.5 };
  const since = workload === 'v2' && scrape >= 10 ? scrape - 10 : scrape;
  return Math.floor((steps[`${workload} ${code}`] ?? 2) * since + ((since * since) % 7));
}

function istioLabels(workload: string, code: string, reporter: string): string {
  return [
    `reporter="${reporter}"`,
    `destination_workload="reviews-${workload}"`,
    'destination_workload_namespace="default"',
    `destination_canonical_revision="${workload}"`,
    `response_code="${code}"`,
  ].join(',');
}

function histogramLines(workload: string, code: string, scrape: number): string[] {
  const labels = istioLabels(workload, code, 'source');
  const total = requests(workload, code, scrape);
  const name = 'istio_request_duration_milliseconds';
  const slow = workload === 'v2' ? 0.6 : 1;
  const lines = BOUNDS.map((bound, index) => {
    const share = Math.min(1, ((index + 1) / BOUNDS.length) * slow + 0.02 * index);
    return `${name}_bucket{${labels},le="${bound}"} ${Math.floor(total * share)}`;
  });
  return [
    ...lines,
    `${name}_bucket{${labels},le="+Inf"} ${total}`,
    `${name}_sum{${labels}} ${total * 31.25}`,
    `${name}_count{${labels}} ${total}`,
  ];
}

/** What the exporter of the recorded comparison serves at its n-th scrape (from 0). */
export function exposition(scrape: number): string {
  const series: [string, string][] = [
    ['v1', '200'],
    ['v1', '503'],
    ['v2', '200'],
    ['v2', '500'],
  ];
  // The canary's errors begin to exist only after some scrapes, as counters of a new response code do.
  const present = series.filter(([, code]) => code !== '500' || scrape >= 4);
  const reporters = ['source', 'destination'];
  return [
    '# HELP istio_requests_total Requests \\\\ with a backslash.',
    '# TYPE istio_requests_total counter',
    ...reporters.flatMap((reporter) =>
      present.map(
        ([workload, code]) =>
          `istio_requests_total{${istioLabels(workload, code, reporter)}} ${requests(workload, code, scrape)}`,
      ),
    ),
    '# TYPE istio_request_duration_milliseconds histogram',
    ...present.flatMap(([workload, code]) => histogramLines(workload, code, scrape)),
    '# TYPE temperature gauge',
    `temperature{room="kitchen",floor="0"} ${20 + Math.sin(scrape / 3) * 4}`,
    `temperature{room="attic",floor="2"} ${-3.5 + scrape * 0.25}`,
    `temperature{room="cellar \\"deep\\"",floor="-1"} 8`,
    '# TYPE room_info gauge',
    'room_info{room="kitchen",owner="ada",colour="blue"} 1',
    'room_info{room="attic",owner="grace",colour="green"} 1',
    '# TYPE odd gauge',
    'odd{kind="nan"} NaN',
    `odd{kind="inf"} ${scrape % 2 === 0 ? '+Inf' : '-Inf'}`,
    'odd{kind="tiny"} 1.5e-9',
    'odd{kind="huge"} 2.5e+22',
    'odd{kind="negative"} -7.25',
    ...(scrape < POD_A_LEAVES_AT ? ['pod_value{pod="a"} 3', 'pod_value{pod="b"} 4'] : ['pod_value{pod="b"} 5']),
    ...(scrape % 5 === 0 ? [] : [`sometimes ${scrape}`]),
    `build{version="1.${Math.floor(scrape / 8)}"} 1`,
    '',
  ].join('\n');
}
