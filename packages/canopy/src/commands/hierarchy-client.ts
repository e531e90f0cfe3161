import type { HierarchyStatus } from '@canopy/model';

/** Asks a process for `/api/v1/status/hierarchy`. Rejects where it does not answer in time. */
export async function fetchHierarchy(url: string, timeoutMs: number): Promise<HierarchyStatus> {
  const response = await fetch(`${url}/api/v1/status/hierarchy`, {
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) throw new Error(`${url} answers with HTTP status ${response.status}`);
  const body = (await response.json()) as { data: HierarchyStatus };
  return body.data;
}
