#!/usr/bin/env node
// Native Ceph calls run in libuv's thread pool, four threads unless told otherwise before the pool's first use: a few calls
// that hang would stop everything else. A CommonJS file, because loading an ES module uses the pool already.
process.env.UV_THREADPOOL_SIZE ??= '96';
// V8 lets its young generation grow to 48 MB in a burst of RPCs and keeps it. With a factor of one it stays at 3 MB; throughput,
// measured, is the same.
require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
limitArenas();

async function run() {
  let program;
  try {
    program = await import('../dist/src/main.js');
  } catch (error) {
    console.error(`cuttle can't be loaded: ${error.message}\nBuild it first: npm ci && npm run build`);
    return 2;
  }
  return program.main(process.argv.slice(2), process.env);
}

run().then(
  // librados keeps threads of its own that would hold the process open after everything is closed.
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

// glibc gives each few threads a heap of their own, sixteen on two cores, and keeps what was freed in each. Two are as fast here.
// Before the first thread starts, because a heap that is there stays.
function limitArenas() {
  const arenaMax = -8; // malloc.h, M_ARENA_MAX
  try {
    require('koffi').load('libc.so.6').func('int mallopt(int option, int value)')(arenaMax, 2);
  } catch {
    // No glibc, nothing to limit; a koffi that is missing is reported by the program itself.
  }
}
