import { loadLibrary, registerCallback } from './library.js';

/** librbd's C interface (rbd/librbd.h), the part that Cuttle calls. */
export type Librbd = ReturnType<typeof loadLibrbd>;

let loaded: Librbd | undefined;

export function librbd(): Librbd {
  loaded ??= loadLibrbd();
  return loaded;
}

/** librbd.h: enum of rbd_image_options_set_*. */
export const imageOption = {
  features: 1,
  order: 2,
  stripeUnit: 3,
  stripeCount: 4,
  dataPool: 10,
  cloneFormat: 12,
} as const;

function loadLibrbd() {
  const { call } = loadLibrary('librbd.so.1', 'librbd1');
  return {
    createOptions: call('void rbd_image_options_create(_Out_ void **options)'),
    destroyOptions: call('void rbd_image_options_destroy(void *options)'),
    setOptionUint64: call('int rbd_image_options_set_uint64(void *options, int option, uint64_t value)'),
    setOptionString: call('int rbd_image_options_set_string(void *options, int option, const char *value)'),
    create: call('int rbd_create4(void *io, const char *name, uint64_t size, void *options)'),
    open: call('int rbd_open(void *io, const char *name, _Out_ void **image, const char *snapshot)'),
    openReadOnly: call('int rbd_open_read_only(void *io, const char *name, _Out_ void **image, const char *snapshot)'),
    openById: call('int rbd_open_by_id(void *io, const char *id, _Out_ void **image, const char *snapshot)'),
    openByIdReadOnly: call(
      'int rbd_open_by_id_read_only(void *io, const char *id, _Out_ void **image, const char *snapshot)',
    ),
    close: call('int rbd_close(void *image)'),
    resize: call('int rbd_resize(void *image, uint64_t size)'),
    stat: call('int rbd_stat(void *image, void *info, size_t length)'),
    stripeUnit: call('int rbd_get_stripe_unit(void *image, void *value)'),
    stripeCount: call('int rbd_get_stripe_count(void *image, void *value)'),
    dataPoolId: call('int64_t rbd_get_data_pool_id(void *image)'),
    createSnapshot: call('int rbd_snap_create(void *image, const char *name)'),
    removeSnapshot: call('int rbd_snap_remove(void *image, const char *name)'),
    listSnapshots: call('int rbd_snap_list(void *image, void *snapshots, void *count)'),
    endSnapshotList: call('void rbd_snap_list_end(void *snapshots)'),
    snapshotTime: call('int rbd_snap_get_timestamp(void *image, uint64_t id, void *timestamp)'),
    snapshotNamespace: call('int rbd_snap_get_namespace_type(void *image, uint64_t id, void *type)'),
    clone: call(
      'int rbd_clone3(void *parentIo, const char *parent, const char *snapshot, void *childIo, const char *child, void *options)',
    ),
    flatten: call('int rbd_flatten_with_progress(void *image, void *progress, void *data)'),
    rename: call('int rbd_rename(void *io, const char *from, const char *to)'),
    remove: call('int rbd_remove(void *io, const char *name)'),
    trashMove: call('int rbd_trash_move(void *io, const char *name, uint64_t delaySeconds)'),
    trashRemove: call('int rbd_trash_remove(void *io, const char *id, bool force)'),
    trashList: call('int rbd_trash_list(void *io, void *entries, void *count)'),
    trashListCleanup: call('void rbd_trash_list_cleanup(void *entries, size_t count)'),
    watchersList: call('int rbd_watchers_list(void *image, void *watchers, void *count)'),
    watchersListCleanup: call('void rbd_watchers_list_cleanup(void *watchers, size_t count)'),
  };
}

/**
 * librbd.h, librbd_progress_fn_t. librbd calls it from a thread of its own for each object and waits: it must be short.
 * @param onProgress a negative errno returned by it ends the operation with that error
 */
export function progressCallback(onProgress: (done: number, total: number) => number) {
  return registerCallback('int CuttleProgress(uint64_t done, uint64_t total, void *data)', (done, total) =>
    onProgress(Number(done), Number(total)),
  );
}
