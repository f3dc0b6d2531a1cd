import t from 'tap';
import { findImports, importViolations, roomOf } from './import-rules.js';
import { readSources } from './read-sources.js';

t.test('no room reaches where it may not', async (t) => {
  const sources = await readSources(['src', 'packages/mount-utils-ts/src']);
  t.ok(sources.size > 20, 'the sources are found');
  t.strictSame(importViolations(sources), []);
});

const violation = (path: string, text: string): string[] => importViolations(new Map([[path, text]]));

// path, source text, what the checker must say
const refused: [string, string, RegExp][] = [
  ['src/domain/a.ts', `import { x } from '../platform/x.js';`, /imports platform: domain may not/],
  ['src/domain/a.ts', `import { createHash } from 'node:crypto';`, /domain may import nothing of Node/],
  ['src/domain/a.ts', `import type { Z } from 'zod';`, /imports the package zod: domain may not/],
  [
    'src/config/a.ts',
    `import { connect } from '../ceph/client.js';`,
    /values of ceph contract: config may import only its types/,
  ],
  ['src/config/a.ts', `import { pool } from '../ceph/connection-pool.js';`, /values of ceph: config may import only/],
  [
    'src/csi/a.ts',
    `import { create } from '../controller/create-volume.js';`,
    /values of controller: csi may import only/,
  ],
  ['src/csi/a.ts', `import { type A } from '../node/stage.js';`, /values of node: csi may import only/],
  ['src/csi/a.ts', `import type { A } from '../backend/rbd/a.js';`, /imports backend\/rbd: csi may not/],
  ['src/csi/a.ts', `export * from '../ceph/client.js';`, /imports ceph contract: csi may not/],
  ['src/controller/a.ts', `import type { A } from '../csi/status.js';`, /imports csi: controller may not/],
  ['src/controller/a.ts', `import { status } from '@grpc/grpc-js';`, /the package @grpc\/grpc-js: controller may not/],
  [
    'src/controller/a.ts',
    `import { Mounter } from 'mount-utils-ts';`,
    /the package mount-utils-ts: controller may not/,
  ],
  ['src/controller/a.ts', `import { x } from '../node/stage.js';`, /imports node: controller may not/],
  ['src/node/a.ts', `const a = await import('../backend/cephfs/a.js');`, /imports backend\/cephfs: node may not/],
  ['src/node/a.ts', `import pb from 'google-protobuf/google/protobuf/empty_pb.js';`, /google-protobuf: node may not/],
  ['src/node/a.ts', `type A = import('../ceph/client.js').A;`, /imports ceph contract: node may not/],
  ['src/node/a.ts', `import { spawn } from 'node:child_process';`, /only platform may/],
  ['src/backend/a.ts', `import { x } from './rbd/x.js';`, /imports backend\/rbd: backend may not/],
  ['src/backend/a.ts', `import type { C } from '../ceph/client.js';`, /imports ceph contract: backend may not/],
  ['src/backend/rbd/a.ts', `import { x } from '../cephfs/x.js';`, /imports backend\/cephfs: backend\/rbd may not/],
  [
    'src/backend/cephfs/deep/a.ts',
    `import { x } from '../../rbd/x.js';`,
    /imports backend\/rbd: backend\/cephfs may not/,
  ],
  ['src/backend/rbd/a.ts', `import { x } from '../../ceph/rbd-images.js';`, /imports ceph: backend\/rbd may not/],
  ['src/backend/rbd/a.ts', `import koffi from 'koffi';`, /the package koffi: backend\/rbd may not/],
  ['src/ceph/a.ts', `import { x } from '../backend/backend.js';`, /imports backend: ceph may not/],
  ['src/ceph/client.ts', `import { execa } from 'execa';`, /the package execa: ceph contract may not/],
  ['src/platform/a.ts', `import { Mounter } from 'mount-utils-ts';`, /values of the package mount-utils-ts/],
  ['src/platform/a.ts', `import { x } from '../ceph/client.js';`, /imports ceph contract: platform may not/],
  ['src/platform/a.ts', `import '../main.js';`, /imports main: platform may not/],
  ['packages/mount-utils-ts/src/a.ts', `import { execa } from 'execa';`, /execa: mount-utils-ts may not/],
  [
    'packages/mount-utils-ts/src/a.ts',
    `import { x } from '../../../src/domain/x.js';`,
    /imports domain: mount-utils-ts may/,
  ],
  ['packages/mount-utils-ts/src/a.ts', `import cp from 'child_process';`, /only platform may/],
  ['src/node/a.ts', `import { x } from '../../packages/mount-utils-ts/src/x.js';`, /no room's file/],
  ['src/node/a.ts', `import { x } from '../../test/harness/cluster.js';`, /no room's file/],
  ['src/node/a.ts', `const a = require('../ceph/client.js');`, /imports ceph contract: node may not/],
  ['src/ceph/a.ts', 'const a = await import(`../${name}.js`);', /computed/],
  ['src/attic/a.ts', '', /stands in no room/],
  ['src/backend/nfs/a.ts', '', /stands in no room/],
  ['src/util.ts', '', /stands in no room/],
];

for (const [path, text, message] of refused) {
  t.test(`the checker refuses \`${text}\` in ${path}`, (t) => {
    const found = violation(path, text);
    t.equal(found.length, 1);
    t.match(found[0], message);
    t.end();
  });
}

const allowed: [string, string][] = [
  [
    'src/main.ts',
    `import { a } from './backend/rbd/a.js'; import { b } from './ceph/b.js'; import koffi from 'koffi';`,
  ],
  ['src/config/a.ts', `import type { ClusterConfig } from '../ceph/clusters.js'; import { z } from 'zod';`],
  ['src/csi/validate/a.ts', `import type { A } from '../../controller/a.js'; import { b } from '../gen/csi.js';`],
  ['src/csi/a.ts', `import { status } from '@grpc/grpc-js'; import { rm } from 'node:fs/promises';`],
  [
    'src/controller/a.ts',
    `import { volumeName } from '../backend/object-name.js'; import { b } from '../domain/b.js';`,
  ],
  ['src/node/a.ts', `import { Mounter } from 'mount-utils-ts'; import { join } from 'node:path';`],
  ['src/backend/a.ts', `import { v5 } from 'uuid'; import { b } from './b.js';`],
  ['src/backend/rbd/deep/a.ts', `import { b } from '../b.js'; import { c } from '../../../ceph/ceph-error.js';`],
  ['src/ceph/a.ts', `import { b } from './client.js'; import koffi from 'koffi';`],
  ['src/ceph/client.ts', `import { a } from './a.js';`],
  ['src/platform/a.ts', `import type { Exec } from 'mount-utils-ts'; import { execa } from 'execa';`],
  ['src/domain/a.ts', `import { b } from './b.js'; // import { c } from '../ceph/c.js'`],
];

t.test('the checker lets pass what the design allows', (t) => {
  for (const [path, text] of allowed) t.strictSame(violation(path, text), [], path);
  t.end();
});

t.test('a violation names the file and the line', (t) => {
  const found = violation('src/domain/a.ts', `// first\n// second\nimport { x } from '../platform/x.js';\n`);
  t.match(found[0], /^src\/domain\/a\.ts:3 /);
  t.end();
});

t.test('text in strings and comments is not taken for an import', (t) => {
  t.strictSame(findImports('a.ts', `// import 'x'\nconst s = "import { a } from 'y'"; /* require('z') */`), []);
  t.end();
});

t.test('a file directly in src/backend is the contract, one below is its kind', (t) => {
  t.equal(roomOf('src/backend/backend.ts'), 'backend');
  t.equal(roomOf('src/backend/rbd/create-volume.ts'), 'backend/rbd');
  t.equal(roomOf('src/ceph/clusters.ts'), 'ceph contract');
  t.equal(roomOf('src/ceph/native/librbd.ts'), 'ceph');
  t.end();
});
