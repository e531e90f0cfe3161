import { defineConfig } from 'vitest/config';
export default defineConfig({
  root: '/work/main',
  resolve: { conditions: ['canopy-source'] },
  ssr: { resolve: { conditions: ['canopy-source'], externalConditions: ['canopy-source'] } },
  test: { include: ['test/deploy/**/*.test.ts'] },
});
