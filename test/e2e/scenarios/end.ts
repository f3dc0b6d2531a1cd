import assert from 'node:assert/strict';
import type { Scenario } from './scenario.js';

/** What an operator does last. */
export const end: readonly Scenario[] = [
  {
    title: 'end: helm uninstall leaves no object of the chart',
    run: async ({ cuttle }) => {
      assert.deepEqual(await cuttle.uninstall(), []);
    },
  },
];
