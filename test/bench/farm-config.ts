/** The farm (farm.ts) as targets of one job: an address is a number, which becomes a parameter. */
export function farmConfig(farmPort: number, targetsFile: string, intervalS: number): string {
  return `global: { scrape_interval: ${intervalS}s, scrape_timeout: ${intervalS}s }
scrape_configs:
  - job_name: farm
    file_sd_configs: [{ files: ["${targetsFile}"], refresh_interval: 2s }]
    relabel_configs:
      - { source_labels: [__address__], target_label: __param_target }
      - { source_labels: [__address__], target_label: instance }
      - { target_label: __address__, replacement: "127.0.0.1:${farmPort}" }
`;
}

/** What a parent of either kind pulls: all that the server on this port has. */
export function federateConfig(port: number, intervalS: number): string {
  return `global: { scrape_interval: ${intervalS}s, scrape_timeout: ${intervalS}s }
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: { "match[]": ['{job!=""}'] }
    static_configs: [{ targets: ["127.0.0.1:${port}"] }]
`;
}
