import { loadLibrary } from './library.js';

/** librados' C interface (rados/librados.h), the part that Cuttle calls. */
export type Librados = ReturnType<typeof loadLibrados>;

let loaded: Librados | undefined;

/** Loaded on first use, so that a process that never talks to Ceph doesn't need it. */
export function librados(): Librados {
  loaded ??= loadLibrados();
  return loaded;
}

function loadLibrados() {
  const { call, callForPointer } = loadLibrary('librados.so.2', 'librados2');
  return {
    create: call('int rados_create2(_Out_ void **cluster, const char *name, const char *user, uint64_t flags)'),
    readConf: call('int rados_conf_read_file(void *cluster, const char *path)'),
    setConf: call('int rados_conf_set(void *cluster, const char *option, const char *value)'),
    getConf: call('int rados_conf_get(void *cluster, const char *option, void *buffer, size_t length)'),
    connect: call('int rados_connect(void *cluster)'),
    shutdown: call('void rados_shutdown(void *cluster)'),
    fsid: call('int rados_cluster_fsid(void *cluster, void *buffer, size_t length)'),
    addresses: call('int rados_getaddrs(void *cluster, _Out_ void **addresses)'),
    freeBuffer: call('void rados_buffer_free(void *buffer)'),
    monCommand: call(
      'int rados_mon_command(void *cluster, const char **command, size_t commands, void *input, size_t inputLength, ' +
        '_Out_ void **output, _Out_ size_t *outputLength, _Out_ void **status, _Out_ size_t *statusLength)',
    ),
    poolLookup: call('int64_t rados_pool_lookup(void *cluster, const char *name)'),
    poolName: call('int rados_pool_reverse_lookup(void *cluster, int64_t id, void *buffer, size_t length)'),
    openIo: call('int rados_ioctx_create(void *cluster, const char *pool, _Out_ void **io)'),
    closeIo: call('void rados_ioctx_destroy(void *io)'),
    ioPoolId: call('int64_t rados_ioctx_get_id(void *io)'),
    setNamespace: call('void rados_ioctx_set_namespace(void *io, const char *namespace)'),
    read: call('int rados_read(void *io, const char *object, void *buffer, size_t length, uint64_t offset)'),
    remove: call('int rados_remove(void *io, const char *object)'),
    exec: call(
      'int rados_exec(void *io, const char *object, const char *cls, const char *method, void *input, size_t inputLength, void *output, size_t outputLength)',
    ),
    lockExclusive: call(
      'int rados_lock_exclusive(void *io, const char *object, const char *name, const char *cookie, const char *description, void *duration, uint8_t flags)',
    ),
    unlock: call('int rados_unlock(void *io, const char *object, const char *name, const char *cookie)'),

    notify: call(
      'int rados_notify2(void *io, const char *object, void *payload, int payloadLength, uint64_t timeoutMs, _Out_ void **reply, _Out_ size_t *replyLength)',
    ),

    createReadOp: callForPointer('void *rados_create_read_op()'),
    releaseReadOp: call('void rados_release_read_op(void *op)'),
    readOpFlags: call('void rados_read_op_set_flags(void *op, int flags)'),
    readOpExec: call(
      'void rados_read_op_exec_user_buf(void *op, const char *cls, const char *method, void *input, size_t inputLength, ' +
        'void *output, size_t outputLength, void *used, void *result)',
    ),
    readOpOmapList: call(
      'void rados_read_op_omap_get_vals2(void *op, const char *startAfter, const char *prefix, uint64_t max, _Out_ void **iterator, void *more, void *result)',
    ),
    readOpOmapGet: call(
      'void rados_read_op_omap_get_vals_by_keys(void *op, const char **keys, size_t count, _Out_ void **iterator, void *result)',
    ),
    omapNext: call(
      'int rados_omap_get_next(void *iterator, _Out_ void **key, _Out_ void **value, _Out_ size_t *length)',
    ),
    omapEnd: call('void rados_omap_get_end(void *iterator)'),
    /** Returns at once; what it reads is there when the completion is. */
    readOpBegin: call(
      'int rados_aio_read_op_operate(void *op, void *io, void *completion, const char *object, int flags)',
    ),
    createCompletion: call('int rados_aio_create_completion2(void *argument, void *callback, _Out_ void **completion)'),
    isComplete: call('int rados_aio_is_complete(void *completion)'),
    waitForComplete: call('int rados_aio_wait_for_complete(void *completion)'),
    returnValue: call('int rados_aio_get_return_value(void *completion)'),
    releaseCompletion: call('void rados_aio_release(void *completion)'),
    readOpOperate: call('int rados_read_op_operate(void *op, void *io, const char *object, int flags)'),

    createWriteOp: callForPointer('void *rados_create_write_op()'),
    releaseWriteOp: call('void rados_release_write_op(void *op)'),
    writeOpExec: call(
      'void rados_write_op_exec(void *op, const char *cls, const char *method, void *input, size_t inputLength, void *result)',
    ),
    writeOpCreate: call('void rados_write_op_create(void *op, int exclusive, const char *category)'),
    writeOpAssertExists: call('void rados_write_op_assert_exists(void *op)'),
    writeOpOmapCompare: call(
      'void rados_write_op_omap_cmp(void *op, const char *key, uint8_t comparison, void *value, size_t length, void *result)',
    ),
    writeOpOmapSet: call(
      'void rados_write_op_omap_set(void *op, const char **keys, const char **values, void *lengths, size_t count)',
    ),
    writeOpOmapRemove: call('void rados_write_op_omap_rm_keys(void *op, const char **keys, size_t count)'),
    writeOpOperate: call('int rados_write_op_operate(void *op, void *io, const char *object, void *mtime, int flags)'),
  };
}
